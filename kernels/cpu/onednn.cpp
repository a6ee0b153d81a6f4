#include "kernels/cpu/onednn.h"

#include <dnnl.hpp>
#include <list>
#include <unordered_map>
#include <vector>

#include "kernels/cpu/convert.h"

namespace tandem::cpu {

namespace {

constexpr std::size_t kPrimitives = 512;

/// All that a matmul primitive depends on.
struct Key {
    std::int64_t m, n, k;
    std::int64_t a_row, a_column, b_row, b_column, c_row;  ///< strides, elements
    float alpha;
    DType input, output;
    Write write;

    friend bool operator==(const Key&, const Key&) = default;
};

struct KeyHash {
    std::size_t operator()(const Key& key) const {
        std::uint64_t h = 0xcbf29ce484222325U;
        const auto mix = [&](std::uint64_t value) { h = (h ^ value) * 0x9E3779B97F4A7C15U ^ (h >> 29U); };
        for (const auto v : {key.m, key.n, key.k, key.a_row, key.a_column, key.b_row, key.b_column, key.c_row})
            mix(static_cast<std::uint64_t>(v));
        mix(std::bit_cast<std::uint32_t>(key.alpha));
        mix(static_cast<std::uint64_t>(key.input) << 16U | static_cast<std::uint64_t>(key.output) << 8U |
            static_cast<std::uint64_t>(key.write));
        return h;
    }
};

Key key_of(const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    const auto row = [](const Operand& x) { return x.transpose == Transpose::No ? x.x.row_stride() : 1; };
    const auto column = [](const Operand& x) { return x.transpose == Transpose::No ? 1 : x.x.row_stride(); };
    return {.m = c.extent(0),
            .n = c.extent(1),
            .k = a.columns(),
            .a_row = row(a),
            .a_column = column(a),
            .b_row = row(b),
            .b_column = column(b),
            .c_row = c.row_stride(),
            .alpha = static_cast<float>(alpha),
            .input = a.x.dtype(),
            .output = c.dtype(),
            .write = write};
}

dnnl::memory::data_type type_of(DType type) { return type == DType::F32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16; }

#if DNNL_VERSION_MAJOR >= 3
// oneDNN 3 scales operands by values passed at execution.
void set_alpha(dnnl::primitive_attr& attributes, float) { attributes.set_scales_mask(DNNL_ARG_SRC, 0); }
constexpr int kAlphaArgument = DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC;

dnnl::matmul::primitive_desc describe(const dnnl::engine& engine, const dnnl::memory::desc& a, const dnnl::memory::desc& b,
                                      const dnnl::memory::desc& c, const dnnl::primitive_attr& attributes) {
    return {engine, a, b, c, attributes};
}
#else
// oneDNN 2 scales the output, before post-operations, by values fixed at creation.
void set_alpha(dnnl::primitive_attr& attributes, float alpha) { attributes.set_output_scales(0, {alpha}); }
constexpr int kAlphaArgument = 0;

dnnl::matmul::primitive_desc describe(const dnnl::engine& engine, const dnnl::memory::desc& a, const dnnl::memory::desc& b,
                                      const dnnl::memory::desc& c, const dnnl::primitive_attr& attributes) {
    return {dnnl::matmul::desc(a, b, c), attributes, engine};
}
#endif

dnnl::matmul::primitive_desc describe(const dnnl::engine& engine, const Key& key) {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (key.alpha != 1.0F) set_alpha(attributes, key.alpha);
    if (key.write == Write::Accumulate) {
        dnnl::post_ops sum;
        sum.append_sum(1.0F);
        attributes.set_post_ops(sum);
    }
    const auto input = type_of(key.input);
    const dnnl::memory::desc a({key.m, key.k}, input, dnnl::memory::dims{key.a_row, key.a_column});
    const dnnl::memory::desc b({key.k, key.n}, input, dnnl::memory::dims{key.b_row, key.b_column});
    const dnnl::memory::desc c({key.m, key.n}, type_of(key.output), dnnl::memory::dims{key.c_row, 1});
    return describe(engine, a, b, c, attributes);
}

/// A primitive and the memory handles it is executed with.
struct Product {
    Product(const dnnl::engine& engine, const Key& key) : Product(engine, key.alpha, describe(engine, key)) {}
    Product(const dnnl::engine& engine, float alpha_, const dnnl::matmul::primitive_desc& description)
        : primitive(description),
          implementation(description.impl_info_str()),
          scratchpad_bytes(static_cast<std::int64_t>(description.scratchpad_desc().get_size())),
          alpha(alpha_) {
        const auto add = [&](int argument, const dnnl::memory::desc& desc, void* data) {
            arguments.insert({argument, dnnl::memory(desc, engine, data)});
        };
        add(DNNL_ARG_SRC, description.src_desc(), nullptr);
        add(DNNL_ARG_WEIGHTS, description.weights_desc(), nullptr);
        add(DNNL_ARG_DST, description.dst_desc(), nullptr);
        if (scratchpad_bytes > 0) add(DNNL_ARG_SCRATCHPAD, description.scratchpad_desc(), nullptr);
        if (kAlphaArgument != 0 && alpha != 1.0F)
            add(kAlphaArgument, {{1}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a}, &alpha);
    }
    Product(const Product&) = delete;
    Product& operator=(const Product&) = delete;

    dnnl::matmul primitive;
    std::string implementation;
    std::int64_t scratchpad_bytes;
    float alpha;
    std::unordered_map<int, dnnl::memory> arguments;
};

Tensor take_scratchpad(Context& ctx, std::int64_t bytes) { return ctx.workspace.allocate("oneDNN matmul scratchpad", DType::U8, {bytes}); }

}  // namespace

struct OneDnnMatmul::Cache {
    /// Scratch of a product: the workspace's, or, where that has less left than is asked for, memory of this cache. With AMX (oneDNN 2.6)
    /// a product of fewer rows can ask for more than one of more rows, so that what was rehearsed is no bound: about a MiB a thread at
    /// most, as far as was seen.
    void* scratch(Context& ctx, std::int64_t bytes) {
        const auto rounded = (static_cast<std::size_t>(bytes) + Arena::kAlignment - 1) / Arena::kAlignment * Arena::kAlignment;
        if (rounded <= ctx.workspace.capacity() - ctx.workspace.used()) return take_scratchpad(ctx, bytes).raw();
        if (unplanned.size() < rounded + Arena::kAlignment) unplanned.resize(rounded + Arena::kAlignment);
        const auto address = reinterpret_cast<std::uintptr_t>(unplanned.data());
        return unplanned.data() + (Arena::kAlignment - address % Arena::kAlignment) % Arena::kAlignment;
    }
    std::vector<std::byte> unplanned;

    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
    std::list<std::pair<Key, Product>> recent;  ///< latest use first
    std::unordered_map<Key, std::list<std::pair<Key, Product>>::iterator, KeyHash> index;

    std::unordered_map<Key, std::int64_t, KeyHash> scratchpads;  ///< of products that were only rehearsed

    /// Bytes, from the description alone: no code is generated.
    std::int64_t scratchpad(const Key& key) {
        const auto [found, fresh] = scratchpads.try_emplace(key, 0);
        if (fresh) found->second = static_cast<std::int64_t>(describe(engine, key).scratchpad_desc().get_size());
        return found->second;
    }

    Product& find(const Key& key) {
        if (const auto found = index.find(key); found != index.end()) {
            recent.splice(recent.begin(), recent, found->second);
            return found->second->second;
        }
        recent.emplace_front(std::piecewise_construct, std::forward_as_tuple(key), std::forward_as_tuple(engine, key));
        index.emplace(key, recent.begin());
        if (recent.size() > kPrimitives) {
            index.erase(recent.back().first);
            recent.pop_back();
        }
        return recent.front().second;
    }
};

OneDnnMatmul::OneDnnMatmul() : cache_(std::make_unique<Cache>()) {}
OneDnnMatmul::~OneDnnMatmul() = default;

void OneDnnMatmul::run(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) try {
    auto& product = cache_->find(key_of(a, b, c, alpha, write));
    ArenaScope scope(ctx.workspace);
    product.arguments.at(DNNL_ARG_SRC).set_data_handle(a.x.raw());
    product.arguments.at(DNNL_ARG_WEIGHTS).set_data_handle(b.x.raw());
    product.arguments.at(DNNL_ARG_DST).set_data_handle(c.raw());
    if (product.scratchpad_bytes > 0)
        product.arguments.at(DNNL_ARG_SCRATCHPAD).set_data_handle(cache_->scratch(ctx, product.scratchpad_bytes));
    product.primitive.execute(cache_->stream, product.arguments);
    cache_->stream.wait();
} catch (const dnnl::error& e) {
    fail(e.status == dnnl_out_of_memory ? Failure::OutOfMemory : Failure::Run, "oneDNN matmul of {} and {} into {}: {}", a.x.str(),
         b.x.str(), c.str(), e.what());
}

void OneDnnMatmul::rehearse(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    ArenaScope scope(ctx.workspace);
    if (const auto bytes = cache_->scratchpad(key_of(a, b, c, alpha, write)); bytes > 0) take_scratchpad(ctx, bytes);
}

OneDnnMatmul::Choice OneDnnMatmul::choice(const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    const auto& product = cache_->find(key_of(a, b, c, alpha, write));
    return {product.implementation, static_cast<std::size_t>(product.scratchpad_bytes)};
}

std::string onednn_version() {
    const auto* v = dnnl::version();
    return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

std::string onednn_isa() {
    // Values are sets of features, so that a newer one contains those it extends: the last match of this list says most.
    static constexpr std::pair<dnnl::cpu_isa, const char*> known[] = {
        {dnnl::cpu_isa::sse41, "sse41"},
        {dnnl::cpu_isa::avx, "avx"},
        {dnnl::cpu_isa::avx2, "avx2"},
        {dnnl::cpu_isa::avx512_core, "avx512_core"},
        {dnnl::cpu_isa::avx512_core_vnni, "avx512_core_vnni"},
        {dnnl::cpu_isa::avx512_core_bf16, "avx512_core_bf16"},
        {dnnl::cpu_isa::avx512_core_amx, "avx512_core_amx"},
    };
    const auto effective = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
    std::string isa = "baseline";
    for (const auto& [value, label] : known)
        if ((effective & static_cast<unsigned>(value)) == static_cast<unsigned>(value)) isa = label;
    return isa;
}

bool onednn_has_bf16() {
    constexpr auto needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
    return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & needed) == needed;
}

}  // namespace tandem::cpu
