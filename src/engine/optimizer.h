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

    Optimizer(const OptimizerSection& settings, GradientBuckets& buckets, ParamTable& table, Context ctx, DeviceMemory& memory);

    /// Enqueues: gradient norm, clipping, update of the owned masters, gather of the compute copies.
    /// `tokens` is the number of trained tokens of the global batch, `step` counts from 1. norm() is valid afterwards.
    void step(Context&, double learning_rate, std::int64_t tokens, std::int64_t step);

    /// Norm of the mean gradient before clipping; waits for the device.
    double norm(Context&);
    /// Whether the last reduced gradients are finite: the check before an update. Call before step().
    bool gradients_finite(Context&);
    /// Name of the first parameter, in the order of the forward pass, whose reduced gradient is not finite; empty if all are.
    std::string first_non_finite(Context&);

    [[nodiscard]] std::vector<Moments>& moments() { return moments_; }

private:
    void update_piece(Context&, std::size_t bucket, const OwnedShard::Piece& piece, double learning_rate, std::int64_t step);
    void sum_squares(Context&);
    [[nodiscard]] double weight_decay(const Parameter& p) const;

    OptimizerSection settings_;
    GradientBuckets& buckets_;
    ParamTable& table_;
    std::vector<Moments> moments_;
    Tensor sum_, norm_, scale_;  ///< fp64 [1]
};

}  // namespace tandem
