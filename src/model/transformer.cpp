#include "src/model/transformer.h"

#include <algorithm>

#include "kernels/base/backend.h"
#include "kernels/base/philox.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "parallel/gradient_buckets.h"
#include "src/io/convert.h"
#include "src/model/quantized_weight.h"
#include "src/model/rope.h"

namespace tandem {

Transformer::Transformer(const TransformerSettings& s, Backend& backend, Stream& stream, DeviceMemory& memory, Communicator& tensor)
    : config_(s.model),
      local_(local_config(s.model, tensor.size())),
      dtype_(s.dtype),
      backend_(backend),
      stream_(stream),
      memory_(memory),
      group_(tensor),
      placement_(s.placement),
      positions_(s.positions),
      table_(list_parameters(s.model, s.trained, s.lora, s.placement, s.quantization)),
      drops_(s.lora && s.lora->dropout > 0) {
    require(s.placement.tensor == tensor.size() && s.placement.tensor_rank == tensor.rank(),
            "a placement for rank {} of {} on rank {} of {}", s.placement.tensor_rank, s.placement.tensor, tensor.rank(), tensor.size());
    allocate_weights(s.quantization);
    make_rope_tables(s.positions);
    wire(s.lora, s.seed);
    lend_buffer(s.tokens);
}

Transformer::~Transformer() { group_.lend(Tensor()); }

void Transformer::allocate_weights(const QuantizationSpec* quantization) {
    for (Parameter& p : table_) {
        if (p.quantized) allocate_blocks(memory_, *quantization, p);
        else p.weight = memory_[MemoryKind::Weights].allocate(p.name, dtype_, p.storage);
    }
}

void Transformer::make_rope_tables(std::int64_t positions) {
    const RopeTables tables = rope_tables(config_.rope, positions);
    const Shape shape{positions, config_.rope.rotated / 2};
    const DType t = accumulation_type(dtype_);
    const auto place = [&](std::string_view name, const std::vector<double>& values) {
        const Tensor target = memory_[MemoryKind::Weights].allocate(name, t, shape);
        std::vector<std::byte> rounded(target.bytes());
        convert_elements(DType::F64, values.data(), t, rounded.data(), values.size());
        backend_.copy_from_host(stream_, rounded.data(), target);
        stream_.synchronize();
        return target;
    };
    cos_ = place("rope cos", tables.cos);
    sin_ = place("rope sin", tables.sin);
}

void Transformer::lend_buffer(std::int64_t tokens) {
    // The widest message: rows of the residual stream with the low-rank products of q, k and v beside them.
    std::int64_t low = 0;
    for (const auto& [unit, block] : blocks_) low = std::max(low, block.q.rank() + block.k.rank() + block.v.rank());
    // Besides, the gradients of replicas are added up, some at a time.
    std::int64_t replicas = 0;
    for (const Parameter& p : table_) replicas += p.trainable && p.sum_over_tensor ? p.storage.elements() : 0;
    const auto largest =
        std::max(static_cast<std::size_t>(group_.padded(tokens) * (config_.hidden + low)) * size_of(dtype_),
                 static_cast<std::size_t>(std::min(replicas, GradientBuckets::kStaging)) * size_of(accumulation_type(dtype_)));
    const auto buffer = static_cast<std::int64_t>(group_.buffer_bytes(largest));
    if (buffer > 0) group_.lend(memory_[MemoryKind::Communication].allocate("tensor-parallel buffer", DType::U8, {buffer}));
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
        l.dropout = {.key = seed ^ hash_name(shape.path), .probability = lora->dropout, .first_column = l.a->box.offset[1]};
    }
    return l;
}

Block Transformer::make_block(int layer, const LoraConfig* lora, std::uint64_t seed) const {
    const auto shapes = linear_layers(config_, layer);
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    Block block;
    Linear* const linears[] = {&block.q, &block.k, &block.v, &block.o, &block.gate, &block.up, &block.down};
    for (std::size_t j = 0; j < shapes.size(); ++j) *linears[j] = linear(shapes[j], lora, seed);
    block.input_norm = parameter(prefix + "input_layernorm.weight");
    block.post_norm = parameter(prefix + "post_attention_layernorm.weight");
    block.q_norm = parameter(prefix + "self_attn.q_norm.weight");
    block.k_norm = parameter(prefix + "self_attn.k_norm.weight");
    block.window = config_.windows[static_cast<std::size_t>(layer)];
    return block;
}

void Transformer::wire(const LoraConfig* lora, std::uint64_t seed) {
    embedding_ = parameter("model.embed_tokens.weight");
    for (int unit = 1; unit < head_unit(); ++unit) {
        if (holds(unit)) blocks_.emplace(unit, make_block(unit - 1, lora, seed));
    }
    head_.norm = parameter("model.norm.weight");
    head_.weight = config_.tied_head ? embedding_ : parameter("lm_head.weight");
}

VocabularyPart Transformer::vocabulary_part() const {
    const RowShare share = share_of_rows(config_.vocabulary, group_.size(), group_.rank());
    return {share.first, share.first + share.count};
}

DeviceBatch Transformer::upload(const HostBatch& batch, Arena& arena, Dropout dropout) {
    const BatchFrame frame{.group = group_,
                           .part = vocabulary_part(),
                           .vocabulary = config_.vocabulary,
                           .longest = positions_,
                           .cos = cos_,
                           .sin = sin_,
                           .drops = drops_ && dropout == Dropout::On};
    return tandem::upload(frame, Uploader(context(), arena), batch);
}

void Transformer::embed(const DeviceBatch& batch, const Tensor& x) {
    Context ctx = context();
    const Tensor table = embedding_->weight;
    if (!group_.split()) {
        ops::embedding(ctx, table, batch.ids, x);
        return;
    }
    ArenaScope scope(ctx.workspace);
    const Tensor all = ctx.workspace.allocate("embedded tokens", dtype_, {batch.view.tokens(), config_.hidden});
    ops::embedding(ctx, table, batch.ids, all);
    group_.sum_scatter(ctx, all, x);  // each row comes from the one rank that has it
}

void Transformer::embed_backward(const DeviceBatch& batch, const Tensor& dx) {
    Context ctx = context();
    ArenaScope scope(ctx.workspace);
    Tensor all = dx;
    if (group_.split()) {
        all = ctx.workspace.allocate("gathered dx", dtype_, {batch.view.tokens(), config_.hidden});
        group_.gather(ctx, dx, all);
    }
    ops::embedding_backward(ctx, all, batch.ids, embedding_->gradient);
}

}  // namespace tandem
