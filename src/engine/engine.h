// The part of a run that holds device memory and computes: a rank's part of the model, its gradients and optimizer state, driven by the
// programs of its layout. The trainer drives it with real batches; the planner drives it, on the dry backend, with the largest legal ones.
#pragma once

#include <map>

#include "parallel/executor.h"
#include "parallel/rank_groups.h"
#include "src/engine/model_setup.h"
#include "src/engine/model_stage.h"
#include "src/engine/optimizer.h"
#include "src/engine/split.h"
#include "src/engine/train_state.h"

namespace tandem {

struct EngineSettings {
    const OptimizerSection& optimizer;
    const Split& split;
    ActivationPolicy policy = ActivationPolicy::Keep;
    SlotPlan slots;  ///< from a plan; empty in dry runs, which find out with kDryMicroBatches of them
    Outbox outbox;   ///< see make_outbox()
};

inline constexpr int kDryMicroBatches = 2;

/// Bytes of what stages send one another of a micro-batch of `tokens`.
[[nodiscard]] std::size_t message_bytes(const Transformer& model, std::int64_t tokens);
/// Buffers (MemoryKind::Communication) for the messages that a stage sends, for training and evaluation.
[[nodiscard]] Outbox make_outbox(DeviceMemory& memory, const Split& split, int stage, std::size_t bytes);

class Engine {
public:
    /// Allocates gradients, masters and optimizer state of what `model` trains, and the slots; contents are undefined until fill_masters()
    /// or a checkpoint. All references must outlive this. `place` is this rank's.
    Engine(const EngineSettings& settings, const MeshIndex& place, Transformer& model, DeviceMemory& memory, const RankGroups& groups);

    /// Forward and backward of this rank's micro-batches of a step (empty ones count), and the reduction of gradients and loss; returns the
    /// sum of the token losses of the global batch, the same bits on every rank. Collective.
    double accumulate(std::span<const HostBatch> micro_batches);
    /// Norm of the mean gradient of `tokens` trained tokens before clipping; not finite where any gradient is not. Collective.
    double clip(std::int64_t tokens);
    /// The first parameter whose reduced gradient is not finite, by name; empty if all are. Collective.
    [[nodiscard]] std::string first_non_finite();
    /// Updates with what clip() found. `step` counts from 1. Collective.
    void update(double learning_rate, std::int64_t step);

    [[nodiscard]] TrainState& state() { return state_; }
    [[nodiscard]] ActivationPolicy policy() const { return settings_.policy; }
    /// Host memory of paged optimizer states.
    [[nodiscard]] std::size_t host_bytes() const { return optimizer_.host_bytes(); }
    [[nodiscard]] std::vector<std::size_t> slot_peaks() const { return stage_.slot_peaks(); }
    /// Who is told of every instruction: a trace, a planner. Null: nobody.
    void observe(InstructionObserver* observer) { observer_ = observer; }

    /// What this rank does in a step of so many micro-batches.
    const Program& program(int micro_batches);

private:
    EngineSettings settings_;
    MeshIndex place_;
    Transformer& model_;
    RankGroups groups_;
    std::map<int, Program> programs_;  ///< by the number of micro-batches
    GradientBuckets buckets_;
    Optimizer optimizer_;
    TrainState state_;
    Tensor loss_sum_;  ///< fp64 [1]
    ModelStage stage_;
    Executor executor_;
    const Program* running_ = nullptr;
    InstructionObserver* observer_ = nullptr;
};

}  // namespace tandem
