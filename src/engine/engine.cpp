#include "src/engine/engine.h"

#include <array>

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"

namespace tandem {
namespace {

StageSettings stage_settings(const EngineSettings& settings, const MeshIndex& place, const Program& program) {
    StageSettings stage{.policy = settings.policy,
                        .chunks = settings.split.chunks_of(place.pipeline),
                        .lowest_trained = settings.split.lowest_trained(),
                        .split_units = {},
                        .slots = settings.slots};
    if (stage.slots.count.empty()) stage.slots.count = slot_counts(program);
    for (const Instruction& in : program) {
        if (in.op != Op::BackwardWeight) continue;
        for (int unit = in.units.first; unit < in.units.last; ++unit) stage.split_units.insert(unit);
    }
    return stage;
}

}  // namespace

std::size_t message_bytes(const Transformer& model, std::int64_t tokens) {
    const TensorGroup& group = model.group();
    return static_cast<std::size_t>(group.padded(tokens) / group.size() * model.config().hidden) * size_of(model.dtype());
}

Outbox make_outbox(DeviceMemory& memory, const Split& split, int stage, std::size_t bytes) {
    const auto reserve = [&](std::string_view what) {
        return memory[MemoryKind::Communication].allocate(what, DType::U8, {static_cast<std::int64_t>(bytes)});
    };
    const bool wraps = split.sizes.pipeline > 1 && split.chunks > 1;
    const auto buffers = static_cast<std::size_t>(outbox_buffers({.stages = split.sizes.pipeline, .chunks = split.chunks}));
    Outbox outbox{std::vector<Tensor>(buffers), std::vector<Tensor>(buffers)};
    if (stage + 1 < split.sizes.pipeline || wraps) {
        for (Tensor& buffer : outbox.forward) buffer = reserve("activations to send");
    }
    if (stage > 0 || wraps) {
        for (Tensor& buffer : outbox.backward) buffer = reserve("gradients to send");
    }
    return outbox;
}

Engine::Engine(const EngineSettings& settings, const MeshIndex& place, Transformer& model, DeviceMemory& memory, const RankGroups& groups)
    : settings_(settings),
      place_(place),
      model_(model),
      groups_(groups),
      buckets_(model.parameters(), {groups.data, groups.tensor, groups.ends}, memory, accumulation_type(model.dtype()),
               settings.split.sharding),
      optimizer_(settings.optimizer, buckets_, model.parameters(), groups.world, model.context(), memory),
      state_(model.parameters(), buckets_, optimizer_),
      loss_sum_(memory[MemoryKind::Optimizer].allocate("loss", DType::F64, {1})),
      stage_(model, stage_settings(settings, place, program(kDryMicroBatches)), buckets_, optimizer_),
      executor_(groups.pipeline, settings.outbox) {}

const Program& Engine::program(int micro_batches) {
    const auto found = programs_.find(micro_batches);
    if (found != programs_.end()) return found->second;
    auto all = step_programs(settings_.split, micro_batches, settings_.policy);
    return programs_.emplace(micro_batches, std::move(all[static_cast<std::size_t>(place_.pipeline)])).first->second;
}

double Engine::accumulate(std::span<const HostBatch> micro_batches) {
    Context ctx = model_.context();
    buckets_.zero(ctx);
    ops::zero(ctx, loss_sum_);
    running_ = &program(static_cast<int>(micro_batches.size()));
    stage_.start(micro_batches, loss_sum_);
    executor_.run(ctx, *running_, 0, tail(*running_), stage_, observer_);
    std::array<double, 1> sum{};
    ctx.backend.copy_to_host(ctx.stream, loss_sum_, sum.data());
    ctx.stream.synchronize();
    // Every tensor-parallel rank of the last stage has the same sum; other stages have none.
    if (place_.tensor > 0) sum[0] = 0;
    groups_.world.sum(sum);
    return sum[0];
}

double Engine::clip(std::int64_t tokens) {
    Context ctx = model_.context();
    const std::size_t at = tail(*running_);
    stage_.set_tokens(tokens);
    executor_.run(ctx, *running_, at, at + 1, stage_, observer_);
    return optimizer_.norm(ctx);
}

std::string Engine::first_non_finite() {
    Context ctx = model_.context();
    return optimizer_.first_non_finite(ctx);
}

void Engine::update(double learning_rate, std::int64_t step) {
    Context ctx = model_.context();
    stage_.set_update(learning_rate, step);
    executor_.run(ctx, *running_, tail(*running_) + 1, running_->size(), stage_, observer_);
}

}  // namespace tandem
