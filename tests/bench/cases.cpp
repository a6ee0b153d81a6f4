#include "tests/bench/cases.h"

#include <cmath>

#include "kernels/ops/attention.h"
#include "kernels/ops/bias.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/glu.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/optimizer.h"
#include "kernels/ops/quantization.h"
#include "kernels/ops/rmsnorm.h"
#include "kernels/ops/rope.h"

namespace tandem::bench {

namespace {

constexpr std::int64_t kHidden = 576, kFfn = 1536, kVocabulary = 49152, kHeads = 9, kKvHeads = 3, kHeadDim = 64, kRank = 16;

class Builder {
public:
    Builder(Context& ctx, Arena& memory) : ctx_(ctx), memory_(memory) {}

    /// Values in (-1, 1) that differ from element to element.
    Tensor tensor(DType type, const Shape& shape, double scale = 1.0) {
        static const std::vector<float> waves = [] {
            std::vector<float> values(10007);
            for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(std::sin(static_cast<double>(i) * 0.7));
            return values;
        }();
        const Tensor x = memory_.allocate("bench operand", type, shape);
        dispatch_float(type, [&](auto tag) {
            using T = typename decltype(tag)::type;
            T* values = x.data<T>();
            const auto n = static_cast<std::size_t>(x.elements());
            for (std::size_t i = 0; i < n; ++i) values[i] = T(static_cast<float>(scale) * waves[i % waves.size()]);
        });
        return x;
    }

    Tensor integers(const Shape& shape, const std::function<std::int64_t(std::int64_t)>& value) {
        const Tensor x = memory_.allocate("bench indices", DType::I32, shape);
        for (std::int64_t i = 0; i < x.elements(); ++i) x.data<std::int32_t>()[i] = static_cast<std::int32_t>(value(i));
        return x;
    }

    void memory_bound(std::string name, double bytes, std::function<void()> run) {
        all.push_back({std::move(name), Bound::Memory, bytes, std::move(run)});
    }

    void attention(const std::string& name, std::int64_t count, std::int64_t queries, std::int64_t keys, bool backward, DType type);
    void product(const std::string& name, std::int64_t m, std::int64_t n, std::int64_t k, Transpose a_t, Transpose b_t, DType type,
                 DType output, Write write, double alpha = 1.0);
    void products(std::int64_t n, DType type);
    void elementwise(std::int64_t n);
    void rows(std::int64_t n);
    void step();
    void quantized();

    std::vector<Case> all;

private:
    Context& ctx_;
    Arena& memory_;
};

void Builder::product(const std::string& name, std::int64_t m, std::int64_t n, std::int64_t k, Transpose a_t, Transpose b_t, DType type,
                      DType output, Write write, double alpha) {
    const Operand a{tensor(type, a_t == Transpose::No ? Shape{m, k} : Shape{k, m}), a_t};
    const Operand b{tensor(type, b_t == Transpose::No ? Shape{k, n} : Shape{n, k}), b_t};
    const Tensor c = tensor(output, {m, n});
    const bool skinny = m <= 4;
    const double bytes = static_cast<double>(a.x.bytes() + b.x.bytes() + c.bytes());
    const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    const Bound bound = skinny ? Bound::Memory : type == DType::BF16 ? Bound::Bf16Matmul : Bound::Fp32Matmul;
    all.push_back({std::string(tandem::name(type)) + " " + name, bound, skinny ? bytes : flops,
                   [=, this] { ops::matmul(ctx_, a, b, c, alpha, write); }});
}

/// y = x W^T, dx = dy W, dW += dy^T x for the projections and the head; the LoRA factors' products.
void Builder::products(std::int64_t n, DType type) {
    constexpr auto no = Transpose::No;
    constexpr auto yes = Transpose::Yes;
    struct Projection {
        const char* name;
        std::int64_t in, out;
    };
    for (const auto& [name, in, out] : {Projection{"q", kHidden, kHidden}, Projection{"kv", kHidden, kKvHeads * kHeadDim},
                                        Projection{"gate", kHidden, kFfn}, Projection{"down", kFfn, kHidden}}) {
        product(fmt::format("{} y = x W^T", name), n, out, in, no, yes, type, type, Write::Overwrite);
        product(fmt::format("{} dx = dy W", name), n, in, out, no, no, type, type, Write::Overwrite);
        product(fmt::format("{} dW += dy^T x", name), out, in, n, yes, no, type, DType::F32, Write::Accumulate);
    }
    product("head logits", n, kVocabulary, kHidden, no, yes, type, DType::F32, Write::Overwrite);
    product("head dx", n, kHidden, kVocabulary, no, no, type, type, Write::Overwrite);
    product("head dW", kVocabulary, kHidden, n, yes, no, type, DType::F32, Write::Accumulate);
    product("LoRA u = x A^T", n, kRank, kFfn, no, yes, type, type, Write::Overwrite);
    product("LoRA y += s u B^T", n, kFfn, kRank, no, yes, type, type, Write::Accumulate, 2.0);
    product("LoRA t = dy B", n, kRank, kFfn, no, no, type, type, Write::Overwrite);
    product("LoRA dx += s t A", n, kFfn, kRank, no, no, type, type, Write::Accumulate, 2.0);
    product("LoRA dA += s t^T x", kRank, kFfn, n, yes, no, type, DType::F32, Write::Accumulate, 2.0);
    product("LoRA dB += s dy^T u", kFfn, kRank, n, yes, no, type, DType::F32, Write::Accumulate, 2.0);
    product("one token, gate", 1, kFfn, kHidden, no, yes, type, type, Write::Overwrite);
    product("one token, head", 1, kVocabulary, kHidden, no, yes, type, DType::F32, Write::Overwrite);
    product("four tokens, head", 4, kVocabulary, kHidden, no, yes, type, DType::F32, Write::Overwrite);
}

void Builder::attention(const std::string& name, std::int64_t count, std::int64_t queries, std::int64_t keys, bool backward, DType type) {
    const std::int64_t nq = count * queries;
    const std::int64_t nk = count * keys;
    const Segments segments{integers({count + 1}, [=](std::int64_t i) { return i * queries; }),
                            integers({count + 1}, [=](std::int64_t i) { return i * keys; }), keys};
    const Attention params{.scale = 0.125};
    const Tensor q = tensor(type, {nq, kHeads, kHeadDim}), k = tensor(type, {nk, kKvHeads, kHeadDim}), v = tensor(type, k.shape());
    const Tensor o = tensor(type, q.shape()), lse = tensor(DType::F32, {kHeads, nq});
    const double pairs = static_cast<double>(count * queries) * (static_cast<double>(keys) - static_cast<double>(queries - 1) / 2.0);
    const double flops = 4.0 * static_cast<double>(kHeadDim * kHeads) * pairs;
    if (queries == 1) {
        memory_bound(name, static_cast<double>(k.bytes() + v.bytes()),
                     [=, this] { ops::attention(ctx_, params, segments, q, k, v, o, lse); });
    } else if (!backward) {
        all.push_back({name, Bound::Fp32Matmul, flops, [=, this] { ops::attention(ctx_, params, segments, q, k, v, o, lse); }});
    } else {
        const Tensor d_o = tensor(type, q.shape()), dq = tensor(type, q.shape()), dk = tensor(type, k.shape()),
                     dv = tensor(type, k.shape());
        ops::attention(ctx_, params, segments, q, k, v, o, lse);
        all.push_back({name, Bound::Fp32Matmul, 2.5 * flops,
                       [=, this] { ops::attention_backward(ctx_, params, segments, d_o, q, k, v, o, lse, dq, dk, dv); }});
    }
}

void Builder::elementwise(std::int64_t n) {
    const auto bf16 = DType::BF16;
    const double block = static_cast<double>(n * kHidden) * 2.0;
    const double ffn = static_cast<double>(n * kFfn) * 2.0;
    const Tensor x = tensor(bf16, {n, kHidden}), y = tensor(bf16, x.shape()), wide = tensor(DType::F32, x.shape());
    const Tensor gate = tensor(bf16, {n, kFfn}), up = tensor(bf16, gate.shape()), out = tensor(bf16, gate.shape());
    const Tensor dy = tensor(bf16, gate.shape()), dgate = tensor(bf16, gate.shape());
    const Tensor bias = tensor(bf16, {kHidden}), dbias = tensor(DType::F32, {kHidden});
    const Tensor row_ids = memory_.allocate("row ids", DType::I64, {n});
    for (std::int64_t i = 0; i < n; ++i) row_ids.data<std::int64_t>()[i] = i;
    memory_bound("zero", 2 * block, [=, this] { ops::zero(ctx_, wide); });
    memory_bound("cast fp32 -> bf16", 3 * block, [=, this] { ops::cast(ctx_, wide, y); });
    memory_bound("add", 3 * block, [=, this] { ops::add(ctx_, x, y, y); });
    memory_bound("axpy bf16 into fp32", 5 * block, [=, this] { ops::axpy(ctx_, 0.5, x, wide); });
    memory_bound("dropout", 2 * block, [=, this] { ops::dropout(ctx_, {42, 0.1}, row_ids, x, y); });
    memory_bound("bias_add", 2 * block, [=, this] { ops::bias_add(ctx_, bias, y); });
    memory_bound("bias_backward", block, [=, this] { ops::bias_backward(ctx_, y, dbias); });
    memory_bound("glu SiLU", 3 * ffn, [=, this] { ops::glu(ctx_, Activation::SiLU, gate, up, out); });
    memory_bound("glu_backward SiLU", 5 * ffn, [=, this] { ops::glu_backward(ctx_, Activation::SiLU, dy, gate, up, dgate, out); });
    memory_bound("glu_backward GELU", 5 * ffn, [=, this] { ops::glu_backward(ctx_, Activation::GeluTanh, dy, gate, up, dgate, out); });
}

void Builder::rows(std::int64_t n) {
    const auto bf16 = DType::BF16;
    const double block = static_cast<double>(n * kHidden) * 2.0;
    const Tensor x = tensor(bf16, {n, kHidden}), y = tensor(bf16, x.shape()), dx = tensor(bf16, x.shape());
    const Tensor w = tensor(bf16, {kHidden}), rstd = tensor(DType::F32, {n}), dw = tensor(DType::F32, {kHidden});
    const Tensor cos = tensor(DType::F32, {n, kHeadDim / 2}), sin = tensor(DType::F32, {n, kHeadDim / 2});
    const Tensor positions = integers({n}, [](std::int64_t i) { return i; });
    const Tensor ids = integers({n}, [](std::int64_t i) { return i * 7919 % kVocabulary; });
    const Tensor table = tensor(bf16, {kVocabulary, kHidden}), dtable = tensor(DType::F32, table.shape());
    memory_bound("rmsnorm", 2 * block, [=, this] { ops::rmsnorm(ctx_, {}, x, w, y, rstd); });
    memory_bound("rmsnorm_backward", 4 * block, [=, this] { ops::rmsnorm_backward(ctx_, {}, y, x, w, rstd, dx, Write::Accumulate, dw); });
    memory_bound("rope", 2 * block, [=, this] {
        ops::rope(ctx_, Rotation::Forward, cos, sin, positions, x.reshape({x.extent(0), kHeads, kHeadDim}));
    });
    memory_bound("embedding", 2 * block, [=, this] { ops::embedding(ctx_, table, ids, y); });
    memory_bound("embedding_backward", 5 * block, [=, this] { ops::embedding_backward(ctx_, y, ids, dtable); });
    memory_bound("gather_rows", 2 * block, [=, this] { ops::gather_rows(ctx_, x, positions, y); });
    memory_bound("scatter_rows", 2 * block, [=, this] { ops::scatter_rows(ctx_, x, positions, y); });

    const std::int64_t chunk = std::min<std::int64_t>(n, 512);
    const Tensor logits = tensor(DType::F32, {chunk, kVocabulary}, 8.0), dlogits = tensor(bf16, logits.shape());
    const Tensor loss = tensor(DType::F64, {1});
    const Tensor labels = ids.rows(0, chunk);
    const auto elements = static_cast<double>(logits.elements());
    memory_bound("cross_entropy, loss", 4 * elements, [=, this] { ops::cross_entropy(ctx_, logits, labels, loss, {}); });
    memory_bound("cross_entropy, dlogits bf16", 6 * elements, [=, this] { ops::cross_entropy(ctx_, logits, labels, loss, dlogits); });
    const Tensor statistics = tensor(DType::F32, {1, chunk, 3});
    memory_bound("cross_entropy_statistics", 4 * elements, [=, this] {
        ops::cross_entropy_statistics(ctx_, logits, labels, statistics.reshape({chunk, 3}));
    });
    memory_bound("cross_entropy_from_statistics, dlogits bf16", 6 * elements,
                 [=, this] { ops::cross_entropy_from_statistics(ctx_, logits, labels, statistics, loss, dlogits); });
}

void Builder::step() {
    const std::int64_t parameters = 16 << 20;
    const Tensor grad = tensor(DType::F32, {parameters}), m = tensor(DType::F32, {parameters}), v = tensor(DType::F32, {parameters});
    const Tensor master = tensor(DType::F32, {parameters}), sum = tensor(DType::F64, {1}), scale = tensor(DType::F64, {1});
    ops::zero(ctx_, v);
    *scale.data<double>() = 1e-3;
    const auto bytes = static_cast<double>(grad.bytes());
    memory_bound("sum_of_squares", bytes, [=, this] { ops::sum_of_squares(ctx_, grad, sum); });
    memory_bound("adamw", 7 * bytes, [=, this] { ops::adamw(ctx_, {1e-4, 0.9, 0.999, 1e-8, 0.01, 3}, scale, grad, m, v, master); });
    memory_bound("sgd", 3 * bytes, [=, this] { ops::sgd(ctx_, {1e-4, 0.0}, scale, grad, master); });
}

/// A projection of a model of seven billion parameters in blocks of 64, and moments in eight bits.
void Builder::quantized() {
    const auto bytes = [this](const Shape& shape) {
        const Tensor x = memory_.allocate("bench codes", DType::U8, shape);
        for (std::int64_t i = 0; i < x.elements(); ++i) x.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 7919 >> 3);
        return x;
    };
    FourBitMatrix w{.type = FourBit::NF4, .grid = {64, 4096, 4096, 0, 4096, 4096}, .codes = {}, .absmax = {}, .nested = {}, .offset = {}};
    w.codes = bytes({w.grid.code_bytes()});
    w.absmax = bytes({1, w.grid.line_blocks()});
    w.nested = tensor(DType::F32, {w.grid.whole_groups()});
    w.offset = tensor(DType::F32, {1});
    for (const auto type : {DType::BF16, DType::F32}) {
        const Tensor y = tensor(type, {w.grid.rows, w.grid.columns});
        memory_bound(fmt::format("dequantize {}", tandem::name(type)), static_cast<double>(w.bytes() + y.bytes()),
                     [=, this] { ops::dequantize(ctx_, w, y); });
    }
    const std::int64_t n = 16 << 20;
    const EightBitMoments moments{bytes({n}), bytes({n}), tensor(DType::F32, {n / 256}), tensor(DType::F32, {n / 256})};
    const Tensor grad = tensor(DType::F32, {n}), master = tensor(DType::F32, {n}), scale = tensor(DType::F64, {1});
    *scale.data<double>() = 1e-3;
    ops::zero(ctx_, moments.v_absmax);
    memory_bound("adamw_8bit", 16.0 * static_cast<double>(n), [=, this] {
        ops::adamw_8bit(ctx_, {1e-4, 0.9, 0.999, 1e-8, 0.01, 3}, scale, grad, moments, master);
    });
}

}  // namespace

std::vector<Case> limits(Context& ctx, Arena& memory) {
    auto* builder = new Builder(ctx, memory);  // NOLINT: the cases refer to it for the life of the program
    for (const auto type : {DType::BF16, DType::F32})
        builder->product("2048 x 2048 x 2048", 2048, 2048, 2048, Transpose::No, Transpose::No, type, type, Write::Overwrite);
    return builder->all;
}

std::vector<Case> cases(Context& ctx, Arena& memory, std::int64_t tokens) {
    auto* builder = new Builder(ctx, memory);  // NOLINT: as above
    builder->products(tokens, DType::BF16);
    builder->products(tokens, DType::F32);
    for (const auto type : {DType::BF16, DType::F32}) {
        const std::string label(name(type));
        builder->attention(label + " attention, 1 sample", 1, tokens, tokens, false, type);
        builder->attention(label + " attention_backward, 1 sample", 1, tokens, tokens, true, type);
        builder->attention(label + " attention, samples of 128", tokens / 128, 128, 128, false, type);
        builder->attention(label + " attention_backward, samples of 128", tokens / 128, 128, 128, true, type);
        builder->attention(label + " attention, 1 query of 4096 keys", 1, 1, 4096, false, type);
    }
    builder->elementwise(tokens);
    builder->rows(tokens);
    builder->step();
    builder->quantized();
    return builder->all;
}

}  // namespace tandem::bench
