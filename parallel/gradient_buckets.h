// Trained parameters in flat padded buckets, and the three verbs behind which data parallelism hides: gather the weights,
// notify that a bucket's gradients are complete, own a shard of the reduced result.
#pragma once

#include <vector>

#include "kernels/base/arena.h"
#include "kernels/base/context.h"
#include "parallel/communicator.h"
#include "parallel/param_table.h"

namespace tandem {

/// The part of a bucket whose optimizer state lives on this rank: flat, one accumulation type.
struct OwnedShard {
    std::string name;  ///< for the ledger and for messages: "bucket 3"
    Tensor gradient;   ///< reduced over the data-parallel group, sums over trained tokens
    Tensor master;     ///< the trained weights in the accumulation type
    /// Pieces of parameters in this shard, in order: parameter index, first element of the (row-major, local) parameter, count,
    /// and where they start in the shard. Padding belongs to no piece and stays zero.
    struct Piece {
        std::size_t parameter;
        std::int64_t first, count, offset;
    };
    std::vector<Piece> pieces;
};

/// Data parallelism of replicated optimizer state: every rank owns everything; gradients are all-reduced, bucket by bucket.
class GradientBuckets {
public:
    static constexpr std::int64_t kAlignment = 256;  ///< elements: 8-bit optimizer blocks must not straddle shards

    /// Lays out the trained parameters of `table` by their `bucket`, each starting on a multiple of kAlignment, allocates
    /// gradients (MemoryKind::Gradients) and masters (MemoryKind::Master) and sets each trained parameter's `gradient` view.
    /// Bucket numbers are the parameters' own: one that no trained parameter names is empty and every verb skips it. Contents
    /// are undefined until they are written. Lends `data` the buffer of its reductions (MemoryKind::Communication).
    GradientBuckets(ParamTable& table, Communicator& data, DeviceMemory& memory, DType accumulation);
    ~GradientBuckets() { data_.lend(Tensor()); }
    GradientBuckets(const GradientBuckets&) = delete;
    GradientBuckets& operator=(const GradientBuckets&) = delete;

    [[nodiscard]] std::size_t size() const { return buckets_.size(); }
    /// All gradients to zero: start of a step.
    void zero(Context&);
    /// The last micro-batch's backward of this bucket is enqueued: its reduction may start.
    void notify_ready(Context&, std::size_t bucket);
    /// This rank's part; valid once notify_ready was called for the bucket and the stream reaches this point.
    [[nodiscard]] OwnedShard& owned(std::size_t bucket) { return buckets_[bucket].shard; }
    /// Compute copies of the bucket's parameters from the masters, on all ranks: after the update.
    void gather(Context&, std::size_t bucket);

private:
    struct Bucket {
        Tensor gradient;  ///< flat, padded
        OwnedShard shard;
    };
    ParamTable& table_;
    Communicator& data_;
    std::vector<Bucket> buckets_;
};

}  // namespace tandem
