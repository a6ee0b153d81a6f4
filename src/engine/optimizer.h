// The update at the end of a step, over the shards this rank owns.
#pragma once

#include <vector>

#include "kernels/base/arena.h"
#include "kernels/base/context.h"
#include "parallel/gradient_buckets.h"
#include "src/config/run_config.h"

namespace tandem {

/// Optimizer state (fp32, fp64 in fp64 runs) beside the masters that GradientBuckets holds.
class Optimizer {
public:
    struct Moments {
        Tensor m, v;  ///< flat, like the shard; absent for SGD
    };

    /// State for the shards that `buckets` owns. `world`: every rank that holds a part of the model.
    Optimizer(const OptimizerSection& settings, GradientBuckets& buckets, ParamTable& table, Communicator& world, Context ctx,
              DeviceMemory& memory);

    /// Enqueues the squared norm of the reduced gradients, each distinct element of the model counted once. Collective over `world`,
    /// once a step, after add_replicas(); what follows uses it.
    void measure(Context&);
    /// Whether the measured gradients are finite: the check before an update, alike on every rank. Waits for the device.
    bool gradients_finite(Context&);
    /// Name of the first parameter, in the order of the forward pass, whose reduced gradient is not finite on any rank; empty if all
    /// are. Collective over `world`, after measure().
    std::string first_non_finite(Context&);

    /// Enqueues clipping by the measured norm. `tokens` is the number of trained tokens of the global batch.
    void clip(Context&, std::int64_t tokens);
    /// Norm of the mean gradient before clipping, valid after clip(); waits for the device.
    double norm(Context&);
    /// Enqueues the update of a bucket's owned masters, after clip(). `step` counts from 1.
    void update(Context&, std::size_t bucket, double learning_rate, std::int64_t step);
    /// All of it: measure, clip, and of every bucket update and gather.
    void step(Context&, double learning_rate, std::int64_t tokens, std::int64_t step);

    [[nodiscard]] bool has_moments() const { return settings_.name != OptimizerName::Sgd; }
    /// By bucket.
    [[nodiscard]] std::vector<Moments>& moments() { return moments_; }

private:
    void update_piece(Context&, std::size_t bucket, const OwnedShard::Piece& piece, double learning_rate, std::int64_t step);
    [[nodiscard]] std::string first_non_finite_here(Context&);
    [[nodiscard]] double weight_decay(const Parameter& p) const;

    OptimizerSection settings_;
    GradientBuckets& buckets_;
    ParamTable& table_;
    Communicator& world_;
    std::vector<Moments> moments_;
    Tensor sum_, norm_, scale_, probe_;  ///< fp64 [1]
};

}  // namespace tandem
