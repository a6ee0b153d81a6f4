#include "src/model/transformer.h"

#include <algorithm>
#include <numeric>

#include "kernels/base/backend.h"
#include "kernels/base/philox.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "src/model/rope.h"

namespace tandem {

Transformer::Transformer(ModelConfig config, DType dtype, Trained trained, const LoraConfig* lora, std::int64_t positions,
                         std::uint64_t seed, Backend& backend, Stream& stream, DeviceMemory& memory)
    : config_(std::move(config)),
      dtype_(dtype),
      backend_(backend),
      stream_(stream),
      memory_(memory),
      positions_(positions),
      table_(list_parameters(config_, trained, lora)),
      drops_(lora && lora->dropout > 0) {
    allocate_weights();
    make_rope_tables(positions);
    wire(lora, seed);
}

void Transformer::allocate_weights() {
    for (Parameter& p : table_) p.weight = memory_[MemoryKind::Weights].allocate(p.name, dtype_, p.box.shape);
}

void Transformer::make_rope_tables(std::int64_t positions) {
    const RopeTables tables = rope_tables(config_.rope, positions);
    const Shape shape{positions, config_.rope.rotated / 2};
    const DType t = accumulation_type(dtype_);
    Context ctx = context();
    const auto place = [&](std::string_view name, const std::vector<double>& values) {
        const Tensor target = memory_[MemoryKind::Weights].allocate(name, t, shape);
        ArenaScope scope(ctx.workspace);
        const Tensor wide = ctx.workspace.allocate(name, DType::F64, shape);
        backend_.copy_from_host(stream_, values.data(), wide);
        ops::cast(ctx, wide, target);
        stream_.synchronize();
        return target;
    };
    cos_ = place("rope cos", tables.cos);
    sin_ = place("rope sin", tables.sin);
}

const Parameter* Transformer::parameter(const std::string& name) const {
    const auto index = find_parameter(table_, name);
    return index < 0 ? nullptr : &table_[static_cast<std::size_t>(index)];
}

Linear Transformer::linear(const LinearShape& shape, const LoraConfig* lora, std::uint64_t seed) const {
    Linear l;
    l.path = shape.path;
    l.weight = parameter(shape.path + ".weight");
    l.bias = shape.bias ? parameter(shape.path + ".bias") : nullptr;
    l.a = parameter(adapter_tensor_name(shape.path, 'A'));
    l.b = parameter(adapter_tensor_name(shape.path, 'B'));
    if (l.a) {
        l.scale = lora->scale();
        l.dropout = {.key = seed ^ hash_name(shape.path), .probability = lora->dropout};
    }
    return l;
}

void Transformer::wire(const LoraConfig* lora, std::uint64_t seed) {
    embedding_ = parameter("model.embed_tokens.weight");
    for (std::int64_t i = 0; i < config_.layers; ++i) {
        const auto shapes = linear_layers(config_, i);
        const std::string prefix = fmt::format("model.layers.{}.", i);
        Block block;
        Linear* const linears[] = {&block.q, &block.k, &block.v, &block.o, &block.gate, &block.up, &block.down};
        for (std::size_t j = 0; j < shapes.size(); ++j) *linears[j] = linear(shapes[j], lora, seed);
        block.input_norm = parameter(prefix + "input_layernorm.weight");
        block.post_norm = parameter(prefix + "post_attention_layernorm.weight");
        block.q_norm = parameter(prefix + "self_attn.q_norm.weight");
        block.k_norm = parameter(prefix + "self_attn.k_norm.weight");
        block.window = config_.windows[static_cast<std::size_t>(i)];
        blocks_.push_back(std::move(block));
    }
    head_.norm = parameter("model.norm.weight");
    head_.weight = config_.tied_head ? embedding_ : parameter("lm_head.weight");
}

std::size_t Transformer::lowest_trained_block() const {
    if (embedding_->trainable) return 0;
    const auto found = std::find_if(blocks_.begin(), blocks_.end(), [](const Block& b) { return b.trains(); });
    return static_cast<std::size_t>(found - blocks_.begin());
}

Tensor Transformer::upload(Arena& arena, std::string_view name, std::span<const std::int32_t> values) {
    const Tensor t = arena.allocate(name, DType::I32, {static_cast<std::int64_t>(values.size())});
    backend_.copy_from_host(stream_, values.data(), t);
    return t;
}

Tensor Transformer::upload(Arena& arena, std::string_view name, std::span<const std::int64_t> values) {
    const Tensor t = arena.allocate(name, DType::I64, {static_cast<std::int64_t>(values.size())});
    backend_.copy_from_host(stream_, values.data(), t);
    return t;
}

void Transformer::check_ids(std::span<const std::int32_t> ids, std::string_view what) const {
    for (const auto id : ids) {
        if (id < 0 || id >= config_.vocabulary) {
            fail(Failure::Input, "{} {} is outside the model's vocabulary of {}: do the data and the tokenizer belong to this model?", what,
                 id, config_.vocabulary);
        }
    }
}

Transformer::DeviceBatch Transformer::upload(const HostBatch& batch, bool dropout) {
    check_ids(batch.ids, "token id");
    require(batch.max_length <= positions_, "a sample of {} tokens, the rotation tables have {}", batch.max_length, positions_);
    std::vector<std::int32_t> trained, targets;
    for (std::size_t i = 0; i < batch.targets.size(); ++i) {
        if (batch.targets[i] == -100) continue;
        trained.push_back(static_cast<std::int32_t>(i));
        targets.push_back(batch.targets[i]);
    }
    check_ids(targets, "label");
    Arena& arena = memory_[MemoryKind::Activations];
    DeviceBatch d;
    d.ids = upload(arena, "token ids", batch.ids);
    d.trained = upload(arena, "trained positions", trained);
    d.targets = upload(arena, "targets", targets);
    d.view.positions = upload(arena, "positions", batch.positions);
    if (dropout) d.view.row_ids = upload(arena, "row ids", batch.row_ids);
    const Tensor cu = upload(arena, "cu_seqlens", batch.cu_seqlens);
    d.view.segments = {cu, cu, batch.max_length};
    d.view.cos = cos_;
    d.view.sin = sin_;
    stream_.synchronize();  // the host vectors above end with this call
    return d;
}

void Transformer::train(const HostBatch& host, ActivationPolicy policy, const Tensor& loss_sum) {
    if (host.ids.empty()) return;
    Context ctx = context();
    Arena& arena = memory_[MemoryKind::Activations];
    ArenaScope scope(arena);
    const DeviceBatch batch = upload(host, drops_);
    const Shape shape{batch.view.tokens(), config_.hidden};

    // Layer inputs are kept in both modes; the rest of a layer's activations lie on top of them, or come back one layer at a time.
    std::vector<Tensor> inputs;
    std::vector<Block::Saved> saved;
    inputs.push_back(arena.allocate("x", dtype_, shape));
    ops::embedding(ctx, embedding_->weight, batch.ids, inputs[0]);
    for (const Block& block : blocks_) {
        inputs.push_back(arena.allocate("x", dtype_, shape));
        const std::size_t mark = arena.mark();
        saved.push_back(block.forward(ctx, config_, batch.view, arena, inputs[inputs.size() - 2], inputs.back()));
        if (policy == ActivationPolicy::Recompute) arena.release(mark);
    }
    // The last layer's output is not needed once the head is done: its gradient takes its place.
    const Tensor dx = arena.allocate("dx", dtype_, shape);
    head_.loss(ctx, config_, inputs.back(), batch.trained, batch.targets, loss_sum, dx);

    const std::size_t lowest = lowest_trained_block();
    for (std::size_t l = blocks_.size(); l-- > lowest;) {
        ArenaScope layer(arena);
        if (policy == ActivationPolicy::Recompute) {
            const Tensor y = arena.allocate("recomputed output", dtype_, shape);
            saved[l] = blocks_[l].forward(ctx, config_, batch.view, arena, inputs[l], y);
        }
        blocks_[l].backward(ctx, config_, batch.view, saved[l], dx, l > lowest || embedding_->trainable);
    }
    if (embedding_->trainable) ops::embedding_backward(ctx, dx, batch.ids, embedding_->gradient);
}

Tensor Transformer::run_blocks(const DeviceBatch& batch) {
    Context ctx = context();
    Arena& arena = memory_[MemoryKind::Activations];
    const Shape shape{batch.view.tokens(), config_.hidden};
    Tensor x = arena.allocate("x", dtype_, shape);
    Tensor y = arena.allocate("y", dtype_, shape);
    ops::embedding(ctx, embedding_->weight, batch.ids, x);
    for (const Block& block : blocks_) {
        ArenaScope layer(arena);
        block.forward(ctx, config_, batch.view, arena, x, y);
        std::swap(x, y);
    }
    return x;
}

void Transformer::evaluate(const HostBatch& host, const Tensor& loss_sum) {
    if (host.ids.empty()) return;
    Context ctx = context();
    ArenaScope scope(memory_[MemoryKind::Activations]);
    const DeviceBatch batch = upload(host, false);
    head_.loss(ctx, config_, run_blocks(batch), batch.trained, batch.targets, loss_sum, Tensor());
}

std::vector<double> Transformer::logits(const HostBatch& host) {
    Context ctx = context();
    ArenaScope scope(memory_[MemoryKind::Activations]);
    const DeviceBatch batch = upload(host, false);
    const Tensor x = run_blocks(batch);
    const Shape shape{batch.view.tokens(), config_.vocabulary};
    ArenaScope temporary(ctx.workspace);
    const Tensor z = ctx.workspace.allocate("logits", accumulation_type(dtype_), shape);
    const Tensor wide = ctx.workspace.allocate("logits", DType::F64, shape);
    head_.logits(ctx, config_, x, z);
    ops::cast(ctx, z, wide);
    std::vector<double> result(static_cast<std::size_t>(shape.elements()));
    backend_.copy_to_host(stream_, wide, result.data());
    stream_.synchronize();
    return result;
}

std::vector<LayerCache> Transformer::make_cache(std::int64_t capacity) {
    Arena& arena = memory_[MemoryKind::Activations];
    const Shape shape{capacity, config_.kv_heads, config_.head_dim};
    std::vector<LayerCache> cache;
    for (std::size_t l = 0; l < blocks_.size(); ++l)
        cache.push_back({arena.allocate("cached keys", dtype_, shape), arena.allocate("cached values", dtype_, shape)});
    return cache;
}

std::vector<float> Transformer::decode(std::span<const std::int32_t> ids, std::vector<LayerCache>& cache, std::int64_t length) {
    check_ids(ids, "token id");
    Context ctx = context();
    Arena& arena = memory_[MemoryKind::Activations];
    ArenaScope scope(arena);
    const auto n = static_cast<std::int32_t>(ids.size());
    const auto before = static_cast<std::int32_t>(length);
    std::vector<std::int32_t> positions(ids.size());
    std::iota(positions.begin(), positions.end(), before);
    const std::vector<std::int32_t> cu_q = {0, n}, cu_k = {0, before + n};
    BatchView view;
    view.positions = upload(arena, "positions", positions);
    view.segments = {upload(arena, "cu_seqlens q", cu_q), upload(arena, "cu_seqlens k", cu_k), length + n};
    view.cos = cos_;
    view.sin = sin_;
    const Tensor x = arena.allocate("x", dtype_, {n, config_.hidden});
    ops::embedding(ctx, embedding_->weight, upload(arena, "token ids", ids), x);
    for (std::size_t l = 0; l < blocks_.size(); ++l) blocks_[l].decode(ctx, config_, view, cache[l], length, x);
    ArenaScope temporary(ctx.workspace);
    const Tensor z = ctx.workspace.allocate("logits", accumulation_type(dtype_), {1, config_.vocabulary});
    const Tensor narrow = ctx.workspace.allocate("logits", DType::F32, z.shape());
    head_.logits(ctx, config_, x.rows(n - 1, n), z);
    ops::cast(ctx, z, narrow);
    std::vector<float> result(static_cast<std::size_t>(config_.vocabulary));
    backend_.copy_to_host(stream_, narrow, result.data());
    stream_.synchronize();
    return result;
}

}  // namespace tandem
