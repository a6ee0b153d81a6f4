#include "src/model/decoder.h"

#include <numeric>

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"

namespace tandem {
namespace {

constexpr int kTag = 0;

/// Positions after `length` cached tokens; padding rows are a sample that sees itself alone.
struct Step {
    Step(std::span<const std::int32_t> given, std::int64_t length, std::int64_t padded) : ids(given.begin(), given.end()) {
        const auto n = static_cast<std::int32_t>(ids.size()), before = static_cast<std::int32_t>(length);
        const auto all = static_cast<std::int32_t>(padded);
        positions.resize(static_cast<std::size_t>(padded));
        std::iota(positions.begin(), positions.begin() + n, before);
        std::iota(positions.begin() + n, positions.end(), 0);
        ids.resize(static_cast<std::size_t>(padded));
        cu_q = {0, n}, cu_k = {0, before + n};
        if (all > n) cu_q.push_back(all), cu_k.push_back(before + all);
    }
    std::vector<std::int32_t> ids, positions, cu_q, cu_k;
};

}  // namespace

Decoder::Decoder(Transformer& model, Communicator& pipeline, std::int64_t capacity)
    : model_(model), pipeline_(pipeline), scope_(model.memory()[MemoryKind::Activations]) {
    Arena& arena = model.memory()[MemoryKind::Activations];
    const ModelConfig& local = model.local();
    const Shape shape{capacity + model.group().size(), local.kv_heads, local.head_dim};
    for (int unit = 1; unit < model.head_unit(); ++unit) {
        if (!model.holds(unit)) continue;
        cache_[unit] = {arena.allocate("cached keys", model.dtype(), shape), arena.allocate("cached values", model.dtype(), shape)};
    }
}

void Decoder::project(const Tensor& x, std::int64_t row, const Tensor& logits) {
    Context ctx = model_.context();
    const TensorGroup& group = model_.group();
    ArenaScope scope(ctx.workspace);
    Tensor all = x;
    if (group.split()) {
        all = ctx.workspace.allocate("gathered rows", x.dtype(), {x.extent(0) * group.size(), x.extent(1)});
        group.gather(ctx, x, all);
    }
    const std::int64_t rows = model_.head().weight->storage[0];
    const Tensor z = ctx.workspace.allocate("logits", accumulation_type(x.dtype()), {1, rows});
    model_.head().logits(ctx, model_.config(), all.rows(row, row + 1), z);
    const Tensor narrow = group.split() ? ctx.workspace.allocate("logits", DType::F32, {rows}) : logits;
    ops::cast(ctx, z.reshape({rows}), narrow);
    if (group.split()) group.gather(ctx, narrow, logits);
}

std::vector<float> Decoder::next(std::span<const std::int32_t> ids) {
    check_ids(ids, config().vocabulary, "token id");
    Context ctx = model_.context();
    Arena& arena = model_.memory()[MemoryKind::Activations];
    ArenaScope scope(arena);
    const TensorGroup& group = model_.group();
    const auto n = static_cast<std::int64_t>(ids.size()), padded = group.padded(n);
    const Step step(ids, length_, padded);
    Uploader upload(ctx, arena);
    DeviceBatch batch{.view = {.group = group, .cos = model_.cos(), .sin = model_.sin()}};
    batch.view.positions = upload("positions", step.positions);
    batch.view.segments = {upload("cu_seqlens q", step.cu_q), upload("cu_seqlens k", step.cu_k), length_ + n};
    const Tensor x = arena.allocate("x", model_.dtype(), {padded / group.size(), config().hidden});
    if (model_.holds(0)) {
        std::vector<std::int32_t> local(step.ids.size());
        for (std::size_t i = 0; i < local.size(); ++i) local[i] = model_.vocabulary_part().local(step.ids[i]);
        batch.ids = upload("token ids", local);
        upload.synchronize();
        model_.embed(batch, x);
    } else {
        pipeline_.recv(ctx.stream, x, pipeline_.rank() - 1, kTag);
    }
    for (auto& [unit, cache] : cache_) model_.block(unit).decode(ctx, model_.local(), batch.view, cache, length_, x);
    const std::int64_t rows = (config().vocabulary + group.size() - 1) / group.size() * group.size();
    const Tensor logits = arena.allocate("logits", DType::F32, {rows});
    if (model_.holds(model_.head_unit())) project(x, n - 1, logits);
    else pipeline_.send(ctx.stream, x, pipeline_.rank() + 1, kTag);
    pipeline_.broadcast(ctx.stream, logits, pipeline_.size() - 1);
    std::vector<float> result(static_cast<std::size_t>(rows));
    ctx.backend.copy_to_host(ctx.stream, logits, result.data());
    ctx.stream.synchronize();
    result.resize(static_cast<std::size_t>(config().vocabulary));
    length_ += n;
    return result;
}

std::vector<double> all_logits(Transformer& model, const HostBatch& host) {
    require(!model.group().split() && model.holds(0) && model.holds(model.head_unit()), "all_logits() of a part of a model");
    Context ctx = model.context();
    Arena& arena = model.memory()[MemoryKind::Activations];
    ArenaScope scope(arena);
    const DeviceBatch batch = model.upload(host, arena, Transformer::Dropout::Off);
    const Tensor x = arena.allocate("x", model.dtype(), {batch.view.tokens(), model.config().hidden});
    model.embed(batch, x);
    for (int unit = 1; unit < model.head_unit(); ++unit) {
        ArenaScope layer(arena);
        model.block(unit).forward(ctx, model.local(), batch.view, arena, x, x);
    }
    const Shape shape{batch.view.tokens(), model.config().vocabulary};
    const Tensor z = arena.allocate("logits", accumulation_type(model.dtype()), shape);
    const Tensor wide = arena.allocate("logits", DType::F64, shape);
    model.head().logits(ctx, model.config(), x, z);
    ops::cast(ctx, z, wide);
    std::vector<double> result(static_cast<std::size_t>(shape.elements()));
    ctx.backend.copy_to_host(ctx.stream, wide, result.data());
    ctx.stream.synchronize();
    return result;
}

}  // namespace tandem
