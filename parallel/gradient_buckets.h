// Trained parameters in flat padded buckets, and the verbs behind which data parallelism and ZeRO-1/2 hide: notify that a bucket's
// gradients are complete, own a shard of the reduced result, gather the weights. (ZeRO: Rajbhandari et al., arXiv 1910.02054.)
#pragma once

#include <vector>

#include "kernels/base/arena.h"
#include "kernels/base/context.h"
#include "parallel/bucket_layout.h"
#include "parallel/communicator.h"
#include "parallel/param_table.h"
#include "parallel/reduce_moment.h"

namespace tandem {

/// The groups over which gradients are added up.
struct ReductionGroups {
    Communicator& data;    ///< ranks with other samples for the same parameters
    Communicator& tensor;  ///< for parameters with sum_over_tensor
    Communicator& ends;    ///< first and last pipeline stage, for parameters with sum_over_ends
};

struct Sharding {
    /// What data-parallel ranks share out: nothing (0), optimizer state (1), and with ReduceMoment::Each gradients (2).
    int zero = 0;
    ReduceMoment moment = ReduceMoment::Last;
    /// Buckets that receive gradients while other buckets come between: the head's, whose gradients are formed in the forward pass, and
    /// that of an embedding which is the head as well.
    std::vector<int> shared_buckets = {};
};

/// The part of a bucket whose optimizer state lives on this rank: flat, one accumulation type.
struct OwnedShard {
    using Piece = BucketPiece;
    std::string name;           ///< for the ledger and for messages: "bucket 3"
    Tensor gradient;            ///< reduced over the data-parallel group, sums over trained tokens
    Tensor master;              ///< the trained weights in the accumulation type
    std::vector<Piece> pieces;  ///< of parameters in this shard, in order. What belongs to no piece stays zero in the gradient.
};

/// Each rank owns block rank() of every bucket, or, with zero 0, everything.
class GradientBuckets {
public:
    /// Lays out the trained parameters of `table` (see BucketLayout), allocates gradients (MemoryKind::Gradients), masters
    /// (MemoryKind::Master) and buffers (MemoryKind::Communication), and sets each trained parameter's `gradient` view. With
    /// ReduceMoment::Each over several ranks only shards of the gradients are kept, and the views of all buckets lie in one transit
    /// buffer (shared buckets have their own): between notify_ready of one bucket and of the next only one unit may add gradients.
    /// Contents are undefined until zero(). Lends `data` and `ends` buffers for their sums; those over `tensor` need buffers for at
    /// most kStaging elements, which are the model's to lend.
    GradientBuckets(ParamTable& table, ReductionGroups groups, DeviceMemory& memory, DType accumulation, Sharding sharding);
    ~GradientBuckets();
    GradientBuckets(const GradientBuckets&) = delete;
    GradientBuckets& operator=(const GradientBuckets&) = delete;

    static constexpr std::int64_t kStaging = std::int64_t{1} << 18;  ///< elements that one sum over replicas moves

    [[nodiscard]] std::size_t size() const { return buckets_.size(); }
    [[nodiscard]] DType accumulation() const { return accumulation_; }  ///< type of gradients and masters
    /// Whether data-parallel ranks own different elements.
    [[nodiscard]] bool sharded() const { return sharded_; }
    /// Of the data-parallel ranks that own the same elements, whether this is the one that counts and writes them.
    [[nodiscard]] bool first_owner() const { return sharded_ || groups_.data.rank() == 0; }
    /// Ranks that own different elements, and what of a bucket any of them owns.
    [[nodiscard]] int owners() const { return sharded_ ? groups_.data.size() : 1; }
    [[nodiscard]] std::vector<BucketPiece> pieces_of(std::size_t bucket, int owner) const;

    /// All gradients to zero: start of a step.
    void zero(Context&);
    /// This rank's gradients of the bucket are complete, of the step or (ReduceMoment::Each) of a micro-batch: adds them up over the
    /// data-parallel ranks. Collective over `data`, every rank's buckets in the same order.
    void notify_ready(Context&, std::size_t bucket);
    /// Once a step, after the last notify_ready: adds up the parts of replicas over `tensor` and `ends`, in rank order. Collective.
    void add_replicas(Context&);
    /// This rank's part; its gradient is valid after add_replicas().
    [[nodiscard]] OwnedShard& owned(std::size_t bucket) { return buckets_[bucket].shard; }
    /// Compute copies of the bucket's parameters from the masters, on all ranks: after the update. Collective over `data` where state
    /// is sharded; what passes between ranks takes the place of the bucket's gradients, which are undefined until zero().
    void gather(Context&, std::size_t bucket);

private:
    struct Bucket {
        std::int64_t length = 0;          ///< of the flat bucket, elements
        std::vector<BucketPiece> pieces;  ///< of the whole bucket
        Tensor gradient;                  ///< [length], where backward adds: the whole gradient or a transit buffer
        DType wire = DType::F32;          ///< type in which weights are gathered
        OwnedShard shard;
    };
    using Tag = bool Parameter::*;
    /// Whether whole gradients exist only until they are added up.
    [[nodiscard]] bool in_transit() const { return sharded_ && sharding_.moment == ReduceMoment::Each; }
    [[nodiscard]] bool apart(std::size_t bucket) const;
    void allocate_gradients(DeviceMemory& memory);
    void allocate_transit(DeviceMemory& memory);
    void lend_buffers(DeviceMemory& memory);
    [[nodiscard]] Shape shard_shape(std::int64_t length) const;
    [[nodiscard]] Tensor own_part(const Tensor& flat) const;
    [[nodiscard]] std::int64_t replicas(const Communicator& group, Tag tag) const;
    [[nodiscard]] Bucket& at(std::size_t bucket);
    void add_up(Context&, Communicator& group, Tag tag);

    ParamTable& table_;
    ReductionGroups groups_;
    DType accumulation_;
    Sharding sharding_;
    bool sharded_;
    std::vector<Bucket> buckets_;
    Tensor transit_;  ///< [largest bucket]; absent where whole gradients are kept
    Tensor staging_;  ///< at most kStaging elements
};

}  // namespace tandem
