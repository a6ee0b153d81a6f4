#include "tests/bench/cases.h"

#include <algorithm>
#include <cmath>
#include <vector>

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

class Builder {
public:
    Builder(Context& ctx, Arena& memory, const Dimensions& dimensions, const Visitor& visit)
        : ctx_(ctx), memory_(memory), d_(dimensions), visit_(visit) {}

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
            constexpr std::int64_t kPiece = 1 << 20;
            std::vector<T> values(static_cast<std::size_t>(std::min(kPiece, x.elements())));
            for (std::size_t i = 0; i < values.size(); ++i) values[i] = T(static_cast<float>(scale) * waves[i % waves.size()]);
            fill(x, values);
        });
        return x;
    }

    /// T is `type`'s.
    template <class T, class Value>
    Tensor made(DType type, const Shape& shape, const Value& value) {
        const Tensor x = memory_.allocate("bench operand", type, shape);
        std::vector<T> values(static_cast<std::size_t>(x.elements()));
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(value(static_cast<std::int64_t>(i)));
        fill(x, values);
        return x;
    }
    template <class Value>
    Tensor integers(const Shape& shape, const Value& value) {
        return made<std::int32_t>(DType::I32, shape, value);
    }
    /// The factor of gradients before an update.
    Tensor grad_scale() {
        return made<double>(DType::F64, {1}, [](std::int64_t) { return 1e-3; });
    }

    void memory_bound(std::string name, double bytes, std::function<void()> run) {
        visit_({std::move(name), Bound::Memory, bytes, std::move(run)});
    }

    void attention(const std::string& name, std::int64_t count, std::int64_t queries, std::int64_t keys, bool backward, DType type);
    void product(const std::string& name, std::int64_t m, std::int64_t n, std::int64_t k, Transpose a_t, Transpose b_t, DType type,
                 DType output, Write write, double alpha = 1.0);
    void products(std::int64_t n, DType type);
    void elementwise(std::int64_t n);
    void rows(std::int64_t n);
    void step();
    void quantized();

private:
    /// The values again and again. Through the backend: the tensor may be a device's.
    template <class T>
    void fill(const Tensor& x, const std::vector<T>& values) {
        const Tensor flat = x.reshape({x.elements()});
        const auto length = static_cast<std::int64_t>(values.size());
        for (std::int64_t first = 0; first < x.elements(); first += length)
            ctx_.backend.copy_from_host(ctx_.stream, values.data(), flat.rows(first, std::min(first + length, x.elements())));
        ctx_.stream.synchronize();
    }

    Context& ctx_;
    Arena& memory_;
    Dimensions d_;
    const Visitor& visit_;
};

void Builder::product(const std::string& name, std::int64_t m, std::int64_t n, std::int64_t k, Transpose a_t, Transpose b_t, DType type,
                      DType output, Write write, double alpha) {
    const ArenaScope scope(memory_);
    const Operand a{tensor(type, a_t == Transpose::No ? Shape{m, k} : Shape{k, m}), a_t};
    const Operand b{tensor(type, b_t == Transpose::No ? Shape{k, n} : Shape{n, k}), b_t};
    const Tensor c = tensor(output, {m, n});
    const bool skinny = m <= 4;
    const double bytes = static_cast<double>(a.x.bytes() + b.x.bytes() + c.bytes());
    const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    const Bound bound = skinny ? Bound::Memory : type == DType::BF16 ? Bound::Bf16Matmul : Bound::Fp32Matmul;
    visit_({std::string(tandem::name(type)) + " " + name, bound, skinny ? bytes : flops,
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
    for (const auto& [name, in, out] : {Projection{"q", d_.hidden, d_.hidden}, Projection{"kv", d_.hidden, d_.kv_heads * d_.head_dim},
                                        Projection{"gate", d_.hidden, d_.ffn}, Projection{"down", d_.ffn, d_.hidden}}) {
        product(fmt::format("{} y = x W^T", name), n, out, in, no, yes, type, type, Write::Overwrite);
        product(fmt::format("{} dx = dy W", name), n, in, out, no, no, type, type, Write::Overwrite);
        product(fmt::format("{} dW += dy^T x", name), out, in, n, yes, no, type, DType::F32, Write::Accumulate);
    }
    product("head logits", n, d_.vocabulary, d_.hidden, no, yes, type, DType::F32, Write::Overwrite);
    product("head dx", n, d_.hidden, d_.vocabulary, no, no, type, type, Write::Overwrite);
    product("head dW", d_.vocabulary, d_.hidden, n, yes, no, type, DType::F32, Write::Accumulate);
    product("LoRA u = x A^T", n, d_.rank, d_.ffn, no, yes, type, type, Write::Overwrite);
    product("LoRA y += s u B^T", n, d_.ffn, d_.rank, no, yes, type, type, Write::Accumulate, 2.0);
    product("LoRA t = dy B", n, d_.rank, d_.ffn, no, no, type, type, Write::Overwrite);
    product("LoRA dx += s t A", n, d_.ffn, d_.rank, no, no, type, type, Write::Accumulate, 2.0);
    product("LoRA dA += s t^T x", d_.rank, d_.ffn, n, yes, no, type, DType::F32, Write::Accumulate, 2.0);
    product("LoRA dB += s dy^T u", d_.ffn, d_.rank, n, yes, no, type, DType::F32, Write::Accumulate, 2.0);
    product("one token, gate", 1, d_.ffn, d_.hidden, no, yes, type, type, Write::Overwrite);
    product("one token, head", 1, d_.vocabulary, d_.hidden, no, yes, type, DType::F32, Write::Overwrite);
    product("four tokens, head", 4, d_.vocabulary, d_.hidden, no, yes, type, DType::F32, Write::Overwrite);
}

void Builder::attention(const std::string& name, std::int64_t count, std::int64_t queries, std::int64_t keys, bool backward, DType type) {
    const ArenaScope scope(memory_);
    // The cpu backend multiplies in fp32 inside of attention.
    const Bound bound = type == DType::BF16 && ctx_.backend.name() == "cuda" ? Bound::Bf16Matmul : Bound::Fp32Matmul;
    const std::int64_t nq = count * queries;
    const std::int64_t nk = count * keys;
    const Segments segments{integers({count + 1}, [=](std::int64_t i) { return i * queries; }),
                            integers({count + 1}, [=](std::int64_t i) { return i * keys; }), keys};
    const Attention params{.scale = 0.125};
    const Tensor q = tensor(type, {nq, d_.heads, d_.head_dim}), k = tensor(type, {nk, d_.kv_heads, d_.head_dim}),
                 v = tensor(type, k.shape());
    const Tensor o = tensor(type, q.shape()), lse = tensor(DType::F32, {d_.heads, nq});
    const double pairs = static_cast<double>(count * queries) * (static_cast<double>(keys) - static_cast<double>(queries - 1) / 2.0);
    const double flops = 4.0 * static_cast<double>(d_.head_dim * d_.heads) * pairs;
    if (queries == 1) {
        memory_bound(name, static_cast<double>(k.bytes() + v.bytes()),
                     [=, this] { ops::attention(ctx_, params, segments, q, k, v, o, lse); });
    } else if (!backward) {
        visit_({name, bound, flops, [=, this] { ops::attention(ctx_, params, segments, q, k, v, o, lse); }});
    } else {
        const Tensor d_o = tensor(type, q.shape()), dq = tensor(type, q.shape()), dk = tensor(type, k.shape()),
                     dv = tensor(type, k.shape());
        ops::attention(ctx_, params, segments, q, k, v, o, lse);
        visit_(
            {name, bound, 2.5 * flops, [=, this] { ops::attention_backward(ctx_, params, segments, d_o, q, k, v, o, lse, dq, dk, dv); }});
    }
}

void Builder::elementwise(std::int64_t n) {
    const ArenaScope scope(memory_);
    const auto bf16 = DType::BF16;
    const double block = static_cast<double>(n * d_.hidden) * 2.0;
    const double ffn = static_cast<double>(n * d_.ffn) * 2.0;
    const Tensor x = tensor(bf16, {n, d_.hidden}), y = tensor(bf16, x.shape()), wide = tensor(DType::F32, x.shape());
    const Tensor gate = tensor(bf16, {n, d_.ffn}), up = tensor(bf16, gate.shape()), out = tensor(bf16, gate.shape());
    const Tensor dy = tensor(bf16, gate.shape()), dgate = tensor(bf16, gate.shape());
    const Tensor bias = tensor(bf16, {d_.hidden}), dbias = tensor(DType::F32, {d_.hidden});
    const Tensor row_ids = made<std::int64_t>(DType::I64, {n}, [](std::int64_t i) { return i; });
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
    const ArenaScope scope(memory_);
    const auto bf16 = DType::BF16;
    const double block = static_cast<double>(n * d_.hidden) * 2.0;
    const Tensor x = tensor(bf16, {n, d_.hidden}), y = tensor(bf16, x.shape()), dx = tensor(bf16, x.shape());
    const Tensor w = tensor(bf16, {d_.hidden}), rstd = tensor(DType::F32, {n}), dw = tensor(DType::F32, {d_.hidden});
    const Tensor cos = tensor(DType::F32, {n, d_.head_dim / 2}), sin = tensor(DType::F32, {n, d_.head_dim / 2});
    const Tensor positions = integers({n}, [](std::int64_t i) { return i; });
    const Tensor ids = integers({n}, [&](std::int64_t i) { return i * 7919 % d_.vocabulary; });
    const Tensor table = tensor(bf16, {d_.vocabulary, d_.hidden}), dtable = tensor(DType::F32, table.shape());
    memory_bound("rmsnorm", 2 * block, [=, this] { ops::rmsnorm(ctx_, {}, x, w, y, rstd); });
    memory_bound("rmsnorm_backward", 4 * block, [=, this] { ops::rmsnorm_backward(ctx_, {}, y, x, w, rstd, dx, Write::Accumulate, dw); });
    memory_bound("rope", 2 * block, [=, this] {
        ops::rope(ctx_, Rotation::Forward, cos, sin, positions, x.reshape({x.extent(0), d_.heads, d_.head_dim}));
    });
    memory_bound("embedding", 2 * block, [=, this] { ops::embedding(ctx_, table, ids, y); });
    memory_bound("embedding_backward", 5 * block, [=, this] { ops::embedding_backward(ctx_, y, ids, dtable); });
    memory_bound("gather_rows", 2 * block, [=, this] { ops::gather_rows(ctx_, x, positions, y); });
    memory_bound("scatter_rows", 2 * block, [=, this] { ops::scatter_rows(ctx_, x, positions, y); });

    const std::int64_t chunk = std::min<std::int64_t>(n, 512);
    const Tensor logits = tensor(DType::F32, {chunk, d_.vocabulary}, 8.0), dlogits = tensor(bf16, logits.shape());
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
    const ArenaScope scope(memory_);
    const std::int64_t parameters = 16 << 20;
    const Tensor grad = tensor(DType::F32, {parameters}), m = tensor(DType::F32, {parameters}), v = tensor(DType::F32, {parameters});
    const Tensor master = tensor(DType::F32, {parameters}), sum = tensor(DType::F64, {1}), scale = grad_scale();
    ops::zero(ctx_, v);
    const auto bytes = static_cast<double>(grad.bytes());
    memory_bound("sum_of_squares", bytes, [=, this] { ops::sum_of_squares(ctx_, grad, sum); });
    memory_bound("adamw", 7 * bytes, [=, this] { ops::adamw(ctx_, {1e-4, 0.9, 0.999, 1e-8, 0.01, 3}, scale, grad, m, v, master); });
    memory_bound("sgd", 3 * bytes, [=, this] { ops::sgd(ctx_, {1e-4, 0.0}, scale, grad, master); });
}

/// A projection of a model of seven billion parameters in blocks of 64, and moments in eight bits.
void Builder::quantized() {
    const ArenaScope scope(memory_);
    const auto bytes = [this](const Shape& shape) {
        return made<std::uint8_t>(DType::U8, shape, [](std::int64_t i) { return i * 7919 >> 3; });
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
    const Tensor grad = tensor(DType::F32, {n}), master = tensor(DType::F32, {n}), scale = grad_scale();
    ops::zero(ctx_, moments.v_absmax);
    memory_bound("adamw_8bit", 16.0 * static_cast<double>(n), [=, this] {
        ops::adamw_8bit(ctx_, {1e-4, 0.9, 0.999, 1e-8, 0.01, 3}, scale, grad, moments, master);
    });
}

}  // namespace

void limits(Context& ctx, Arena& memory, std::int64_t n, const Visitor& visit) {
    Builder builder(ctx, memory, {}, visit);
    for (const auto type : {DType::BF16, DType::F32})
        builder.product("square", n, n, n, Transpose::No, Transpose::No, type, type, Write::Overwrite);
}

void cases(Context& ctx, Arena& memory, const Dimensions& dimensions, std::int64_t tokens, const Visitor& visit) {
    Builder builder(ctx, memory, dimensions, visit);
    builder.products(tokens, DType::BF16);
    builder.products(tokens, DType::F32);
    for (const auto type : {DType::BF16, DType::F32}) {
        const std::string label(name(type));
        builder.attention(label + " attention, 1 sample", 1, tokens, tokens, false, type);
        builder.attention(label + " attention_backward, 1 sample", 1, tokens, tokens, true, type);
        builder.attention(label + " attention, samples of 128", tokens / 128, 128, 128, false, type);
        builder.attention(label + " attention_backward, samples of 128", tokens / 128, 128, 128, true, type);
        builder.attention(label + " attention, 1 query of 4096 keys", 1, 1, 4096, false, type);
    }
    builder.elementwise(tokens);
    builder.rows(tokens);
    builder.step();
    builder.quantized();
}

}  // namespace tandem::bench
