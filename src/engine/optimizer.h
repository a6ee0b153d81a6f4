// The update at the end of a step, over the shards this rank owns.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/base/arena.h"
#include "kernels/base/context.h"
#include "parallel/gradient_buckets.h"
#include "src/config/run_config.h"
#include "src/engine/eight_bit_states.h"

namespace tandem {

/// Moments (in the accumulation type, or in eight bits: see state_parts.h) beside the masters that GradientBuckets holds.
class Optimizer {
public:
    /// State for the shards that `buckets` owns. `world`: every rank that holds a part of the model. `page`: elements of a page where
    /// they are paged.
    Optimizer(const OptimizerSection& settings, GradientBuckets& buckets, ParamTable& table, Communicator& world, Context ctx,
              DeviceMemory& memory, std::int64_t page = EightBitStates::kPage);

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

    [[nodiscard]] OptimizerName name() const { return settings_.name; }
    /// Where the moments of a bucket's pieces lie; not for SGD.
    [[nodiscard]] const BucketMoments& layout(std::size_t bucket) const { return layout_.at(bucket); }
    /// Moments of a bucket (not masters) from number `first` of the part's sequence on, as many as fit; waits for the device.
    void read(Context&, std::size_t bucket, StatePart part, std::int64_t first, std::span<std::byte> values);
    void write(Context&, std::size_t bucket, StatePart part, std::int64_t first, std::span<const std::byte> values);
    /// Host memory that paged moments take.
    [[nodiscard]] std::size_t host_bytes() const { return eight_bit_ ? eight_bit_->host_bytes() : 0; }

private:
    struct Moments {
        Tensor m, v;  ///< [BucketMoments::most_wide], accumulation type
    };
    void update_piece(Context&, std::size_t bucket, std::size_t piece, double learning_rate, std::int64_t step);
    void update_eight_bit(Context&, std::size_t bucket, double learning_rate, std::int64_t step);
    [[nodiscard]] AdamW step_of(const Parameter& p, double learning_rate, std::int64_t step) const;
    [[nodiscard]] Tensor wide_part(std::size_t bucket, StatePart part, std::int64_t first, std::size_t bytes) const;
    [[nodiscard]] std::string first_non_finite_here(Context&);
    [[nodiscard]] double weight_decay(const Parameter& p) const;

    OptimizerSection settings_;
    GradientBuckets& buckets_;
    ParamTable& table_;
    Communicator& world_;
    std::vector<BucketMoments> layout_;          ///< by bucket; none for SGD
    std::vector<Moments> moments_;               ///< likewise
    std::unique_ptr<EightBitStates> eight_bit_;  ///< null where none are
    Tensor sum_, norm_, scale_, probe_;          ///< fp64 [1]
};

}  // namespace tandem
