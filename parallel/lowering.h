// Schedules into programs that run: pure passes that add units, recomputation, messages, reductions, the end of the step and slots.
#pragma once

#include <vector>

#include "parallel/program.h"
#include "parallel/reduce_moment.h"
#include "parallel/schedules.h"

namespace tandem {

/// What a schedule does not know. Unit 0 is the embedding, the last unit the final norm and head.
struct Lowering {
    std::vector<UnitRange> parts;  ///< units of part s = chunk * stages + rank; contiguous from 0, none empty
    /// Lowest unit with anything trained. Backward goes no further down: parts wholly below have none and receive no gradient, and the part
    /// that has this unit sends none. units(): nothing is trained.
    int lowest_trained = 0;
    /// Layers keep only their inputs in forward and are recomputed: each right before its own backward, unless hoisted. Embedding and head
    /// never are: a head's forward forms the gradient as well.
    bool recompute = false;
    /// Highest layers of a part that are recomputed ahead of the wait for the gradient, which costs their activations all at once.
    int hoisted_units = 0;
    /// Lowest units of a part whose weight gradients follow the send of the input's gradient, which costs their outputs' gradients.
    /// ZbH1 defers all of them anyway.
    int deferred_units = 0;
    /// Weight gradients are next to nothing (adapters): nothing is deferred, and ZbH1 becomes 1F1B.
    bool frozen_base = false;
    ReduceMoment reduction = ReduceMoment::Last;
    std::vector<int> trained_buckets;  ///< ascending; a bucket is a unit's, see ParamTable
    /// The head's weights are the embedding's, in bucket 0: complete after unit 0 where one rank has both; with several stages the
    /// last one holds a copy as its own bucket 0.
    bool tied = false;

    [[nodiscard]] int units() const { return parts.empty() ? 0 : parts.back().last; }
    [[nodiscard]] UnitRange backward_units(int part) const;  ///< of which gradients are formed; count() <= 0: none
    [[nodiscard]] bool sends_gradient(int part) const;       ///< of its input
    /// Trained buckets that this unit's backward adds to.
    [[nodiscard]] std::vector<int> buckets_of(int unit) const;
};

/// The programs of one training step, one a rank: Clip, Update and Gather at the end, proven not to deadlock (check_progress) with
/// kOutboxBuffers messages under way. Throws Configuration as make_schedule does. ReduceMoment::Each does not go with deferred weight
/// gradients, by deferred_units or ZbH1, unless frozen_base: throws Run.
[[nodiscard]] std::vector<Program> make_programs(Schedule schedule, const PipelineShape& shape, const Lowering& lowering);

/// Receive, Forward and Send of all micro-batches.
[[nodiscard]] std::vector<Program> make_forward_programs(const PipelineShape& shape, const std::vector<UnitRange>& parts);

/// How many micro-batches' activations each chunk of this rank holds at most: slots are 0 ... count - 1.
[[nodiscard]] std::vector<int> slot_counts(const Program& program);

// The passes, in their order.
namespace passes {

/// Units of every instruction; backward cut and recomputation inserted as `lowering` asks.
[[nodiscard]] Program split_units(const Program& schedule, const PipelineShape& shape, int rank, const Lowering& lowering);
/// Sends right after what they send is there, receives right before what uses it (hoisted recomputation comes first).
[[nodiscard]] std::vector<Program> insert_messages(const std::vector<Program>& programs, const PipelineShape& shape,
                                                   const Lowering& lowering);
/// Reduce right after a bucket's last contribution; of a part that sends a gradient, once that is on its way (ReduceMoment::Last).
[[nodiscard]] Program insert_reductions(const Program& program, const PipelineShape& shape, int rank, const Lowering& lowering);
/// Clip, then Update and Gather of each trained bucket of this rank, ascending.
[[nodiscard]] Program append_update(Program program, const PipelineShape& shape, int rank, const Lowering& lowering);
/// A slot of its chunk for each micro-batch from its first instruction to its last, the lowest free one.
[[nodiscard]] Program assign_slots(Program program);

}  // namespace passes
}  // namespace tandem
