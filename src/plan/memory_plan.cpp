#include "src/plan/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "src/engine/engine.h"
#include "src/engine/evaluation.h"
#include "src/model/parameters.h"

namespace tandem {
namespace {

/// Full rows, every position trained, and as many samples as there could be at most (one a token).
struct FullBatch {
    FullBatch(const RunConfig& config, std::int64_t tokens)
        : n(static_cast<std::size_t>(tokens)),
          zeros(n + 1, 0),
          row_ids(n, 0),
          view{.ids = std::span(zeros).first(n),
               .targets = std::span(zeros).first(n),
               .positions = std::span(zeros).first(n),
               .cu_seqlens = zeros,
               .row_ids = row_ids,
               .max_length = std::min(tokens, config.data.max_seq_length)} {}
    FullBatch(const FullBatch&) = delete;
    FullBatch& operator=(const FullBatch&) = delete;

    std::size_t n;
    std::vector<std::int32_t> zeros;
    std::vector<std::int64_t> row_ids;
    HostBatch view;
};

/// A rank's groups as a dry run sees them, with itself in the place of the first data- and tensor-parallel rank of its stage.
struct DryGroups {
    DryGroups(const MeshIndex& sizes, int stage)
        : world(stage * sizes.data * sizes.tensor, sizes.data * sizes.tensor * sizes.pipeline),
          data(0, sizes.data),
          tensor(0, sizes.tensor),
          pipeline(stage, sizes.pipeline),
          ends(stage > 0 ? 1 : 0, sizes.pipeline > 1 && (stage == 0 || stage + 1 == sizes.pipeline) ? 2 : 1) {}
    DryCommunicator world, data, tensor, pipeline, ends;
    [[nodiscard]] RankGroups view() { return {world, data, tensor, pipeline, ends}; }
};

/// Files what happens during each instruction.
class CostRecorder final : public InstructionObserver {
public:
    CostRecorder(DryBackend& backend, DryGroups& groups, const DeviceMemory& memory, StagePlan& plan)
        : backend_(backend), groups_(groups), memory_(memory), plan_(plan) {}
    void begin(const Instruction&) override {
        backend_.counts().clear();
        groups_.tensor.clear();
        groups_.data.clear();
    }
    void end(const Instruction& in) override {
        plan_.costs[kind_of(in)] = {backend_.counts(), groups_.tensor.traffic(), groups_.data.traffic()};
        if (memory_.peak() == peak_) return;
        peak_ = memory_.peak();
        plan_.peak_at = name(in.op);
    }

private:
    DryBackend& backend_;
    DryGroups& groups_;
    const DeviceMemory& memory_;
    StagePlan& plan_;
    std::size_t peak_ = 0;
};

void plan_step(const PlanSubject& subject, const MemoryPlan& run, int stage, DryDevice& dry, DryGroups& groups, Transformer& model,
               const Outbox& outbox, StagePlan& plan) {
    const MeshIndex place{.data = 0, .tensor = 0, .pipeline = stage};
    const std::int64_t most = largest_micro_batch(subject.config);
    DeviceMemory& memory = *dry.device.memory;
    Engine engine({subject.config.optimizer, run.split, run.policy, {{}, {}}, outbox}, place, model, memory, groups.view());
    CostRecorder recorder(*dry.backend, groups, memory, plan);
    engine.observe(&recorder);
    // A library's scratch need not grow with the batch: smaller ones are tried as well, the largest one last.
    for (std::int64_t power = 1, tokens = 0; tokens < most; power *= 2) {
        tokens = std::min(most, power);
        const FullBatch batch(subject.config, tokens);
        // The last micro-batch's backward may be cut where buckets are complete: two show all kinds of instructions there are.
        engine.accumulate(std::vector<HostBatch>(kDryMicroBatches, batch.view));
    }
    engine.clip(1);
    engine.update(0, 1);
    const int micro_batches = static_cast<int>(subject.layout.accumulation);
    plan.slots.count = slot_counts(step_programs(run.split, micro_batches, run.policy)[static_cast<std::size_t>(stage)]);
    plan.slots.bytes = engine.slot_peaks();
    plan.host = engine.host_bytes();
}

StagePlan plan_stage(const PlanSubject& subject, const ModelDescription& description, const MemoryPlan& run, int stage) {
    const RunConfig& config = subject.config;
    DryDevice dry = make_dry_device(config, subject.threads);
    DryGroups groups(run.split.sizes, stage);
    const std::int64_t most = largest_micro_batch(config);
    const MeshIndex place{.data = 0, .tensor = 0, .pipeline = stage};
    const auto model =
        make_transformer(config, description, dry.device, {run.split.placement(place), groups.tensor, config.data.max_seq_length, most});
    StagePlan plan;
    plan.message = message_bytes(*model, most);
    const Outbox outbox = make_outbox(*dry.device.memory, run.split, stage, plan.message);
    if (subject.purpose == Purpose::Train) plan_step(subject, run, stage, dry, groups, *model, outbox, plan);
    {
        EvaluationStage evaluation(*model, run.split.chunks_of(stage));
        Executor executor(groups.pipeline, outbox);
        Context ctx = model->context();
        for (std::int64_t tokens = most; tokens > 0; tokens /= 2) {
            const FullBatch batch(config, tokens);
            evaluation.start(std::span(&batch.view, 1));
            const Program program = evaluation_programs(run.split, 1)[static_cast<std::size_t>(stage)];
            executor.run(ctx, program, 0, program.size(), evaluation);
        }
    }
    plan.bytes = dry.device.memory->peaks();
    for (std::size_t c = 0; c < plan.slots.count.size(); ++c)
        plan.bytes[static_cast<std::size_t>(MemoryKind::Activations)] +=
            static_cast<std::size_t>(plan.slots.count[c]) * plan.slots.bytes[c];
    return plan;
}

}  // namespace

InstructionKind kind_of(const Instruction& in) { return {in.op, in.chunk, in.units, in.bucket}; }

MemoryKind StagePlan::largest() const { return static_cast<MemoryKind>(std::max_element(bytes.begin(), bytes.end()) - bytes.begin()); }

const InstructionCost& StagePlan::cost(const Instruction& in) const {
    const auto found = costs.find(kind_of(in));
    if (found == costs.end()) fail(Failure::Run, "the dry run had no {}", to_text(in));
    return found->second;
}

const StagePlan& MemoryPlan::largest() const {
    return *std::max_element(stages.begin(), stages.end(), [](const auto& a, const auto& b) { return a.peak() < b.peak(); });
}

std::size_t MemoryPlan::host() const {
    std::size_t most = 0;
    for (const StagePlan& stage : stages) most = std::max(most, stage.host);
    return most;
}

std::int64_t largest_micro_batch(const RunConfig& config) { return config.training.micro_batch_size * config.data.max_seq_length; }

Trained trained_for(const RunConfig& config, Purpose purpose) {
    if (purpose == Purpose::Eval) return Trained::Nothing;
    return config.method.type == Method::Full ? Trained::Everything : Trained::Adapter;
}

MemoryPlan plan_memory(const PlanSubject& subject, ActivationPolicy policy, int overlapped_units) {
    const Trained trained = trained_for(subject.config, subject.purpose);
    const ModelDescription description = describe_model(subject.config, trained);
    MemoryPlan plan;
    plan.split = resolve_split(subject.config, subject.layout, description);
    plan.policy = policy;
    if (policy == ActivationPolicy::Recompute) plan.split.hoisted_units = overlapped_units;
    if (!plan.split.frozen_base && plan.split.sharding.moment == ReduceMoment::Last) plan.split.deferred_units = overlapped_units;
    for (const Parameter& p : whole_model_table(description)) {
        plan.parameters += p.global.elements();
        if (p.trainable) plan.trainable += p.global.elements();
    }
    for (int stage = 0; stage < plan.split.sizes.pipeline; ++stage) plan.stages.push_back(plan_stage(subject, description, plan, stage));
    return plan;
}

}  // namespace tandem
