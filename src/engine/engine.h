// The part of a run that holds device memory and computes: model, gradients, optimizer state. The trainer drives it with real
// batches; the planner drives it, on the dry backend, with the largest legal ones.
#pragma once

#include "src/engine/model_setup.h"
#include "src/engine/optimizer.h"
#include "src/engine/train_state.h"

namespace tandem {

class Engine {
public:
    /// Allocates gradients, masters and optimizer state of what `model` trains; contents are undefined until fill_masters() or a
    /// checkpoint. All references must outlive this.
    Engine(const OptimizerSection& settings, Transformer& model, DeviceMemory& memory, ReductionGroups groups, Communicator& world,
           Sharding sharding, ActivationPolicy policy);

    /// Start of a step: gradients and loss to zero.
    void start();
    /// Forward and backward of one micro-batch of this rank.
    void accumulate(const HostBatch& batch) { model_.train(batch, policy_, loss_sum_); }
    /// After the last micro-batch: reduces gradients and loss over their groups; returns the sum of the token losses of the
    /// global batch. Collective.
    double reduce();
    /// Whether the reduced gradients are finite; the same answer on every rank. Collective; update() follows it.
    [[nodiscard]] bool gradients_finite();
    /// The first parameter whose reduced gradient is not finite, by name; empty if all are. Collective.
    [[nodiscard]] std::string first_non_finite();
    /// Clips and updates; returns the norm of the mean gradient before clipping. `tokens` trained in the global batch; `step` from 1.
    double update(double learning_rate, std::int64_t tokens, std::int64_t step);

    [[nodiscard]] TrainState& state() { return state_; }
    [[nodiscard]] ActivationPolicy policy() const { return policy_; }

private:
    Transformer& model_;
    Communicator& data_;
    ActivationPolicy policy_;
    GradientBuckets buckets_;
    Optimizer optimizer_;
    TrainState state_;
    Tensor loss_sum_;  ///< fp64 [1]
};

}  // namespace tandem
