#include "parallel/gradient_buckets.h"

#include <algorithm>

#include "kernels/ops/elementwise.h"

namespace tandem {
namespace {

/// Elements [first, first + count) of a tensor's storage, flat.
Tensor flat_part(const Tensor& x, std::int64_t first, std::int64_t count) { return x.reshape({x.elements()}).rows(first, first + count); }

/// The weights' common type, so that nothing is sent wider than it is; `accumulation` where they differ.
DType wire_type(const ParamTable& table, const std::vector<BucketPiece>& pieces, DType accumulation) {
    if (pieces.empty()) return accumulation;
    const DType first = table[pieces.front().parameter].weight.dtype();
    const auto same = [&](const BucketPiece& piece) { return table[piece.parameter].weight.dtype() == first; };
    return std::all_of(pieces.begin(), pieces.end(), same) ? first : accumulation;
}

void check(const ParamTable& table, const Sharding& sharding) {
    require(sharding.zero >= 0 && sharding.zero <= 2 && (sharding.zero == 2 || sharding.moment == ReduceMoment::Last),
            "gradient buckets with zero {} cannot add up after each micro-batch", sharding.zero);
    for (const Parameter& p : table) {
        if (!p.trainable) continue;
        require(p.weight && p.weight.shape() == p.storage && p.weight.contiguous(), "parameter {}: weight {}, storage {}", p.name,
                p.weight.str(), p.storage.str());
    }
}

}  // namespace

GradientBuckets::GradientBuckets(ParamTable& table, ReductionGroups groups, DeviceMemory& memory, DType accumulation, Sharding sharding)
    : table_(table),
      groups_(groups),
      accumulation_(accumulation),
      sharding_(sharding),
      sharded_(sharding.zero > 0 && groups.data.size() > 1) {
    check(table, sharding);
    const auto layouts = lay_out_buckets(table, groups.data.size());
    for (std::size_t b = 0; b < layouts.size(); ++b) {
        const BucketLayout& layout = layouts[b];
        Bucket bucket;
        bucket.length = layout.length;
        bucket.pieces = layout.pieces;
        bucket.wire = wire_type(table, layout.pieces, accumulation);
        bucket.shard.name = fmt::format("bucket {}", b);
        bucket.shard.pieces = sharded_ ? layout.block(groups.data.rank(), groups.data.size()) : layout.block(0, 1);
        bucket.shard.master = memory[MemoryKind::Master].allocate(bucket.shard.name + " master", accumulation, shard_shape(layout.length));
        buckets_.push_back(std::move(bucket));
    }
    if (in_transit()) allocate_transit(memory);
    else allocate_gradients(memory);
    for (const Bucket& bucket : buckets_) {
        for (const BucketPiece& piece : bucket.pieces) {
            Parameter& p = table[piece.parameter];
            p.gradient = flat_part(bucket.gradient, piece.offset, p.storage.elements()).reshape(p.storage);
        }
    }
    lend_buffers(memory);
}

GradientBuckets::~GradientBuckets() {
    groups_.data.lend(Tensor());
    groups_.ends.lend(Tensor());
}

bool GradientBuckets::apart(std::size_t bucket) const {
    const auto& shared = sharding_.shared_buckets;
    return std::find(shared.begin(), shared.end(), static_cast<int>(bucket)) != shared.end();
}

Shape GradientBuckets::shard_shape(std::int64_t length) const { return {sharded_ ? length / groups_.data.size() : length}; }

Tensor GradientBuckets::own_part(const Tensor& flat) const {
    if (!sharded_) return flat;
    const std::int64_t block = flat.elements() / groups_.data.size();
    return flat.rows(groups_.data.rank() * block, (groups_.data.rank() + 1) * block);
}

void GradientBuckets::allocate_gradients(DeviceMemory& memory) {
    for (Bucket& bucket : buckets_) {
        bucket.gradient = memory[MemoryKind::Gradients].allocate(bucket.shard.name + " gradient", accumulation_, {bucket.length});
        bucket.shard.gradient = own_part(bucket.gradient);
    }
}

void GradientBuckets::allocate_transit(DeviceMemory& memory) {
    std::int64_t largest = 0;
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        if (!apart(b)) largest = std::max(largest, buckets_[b].length);
    }
    transit_ = memory[MemoryKind::Communication].allocate("gradients in transit", accumulation_, {largest});
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        Bucket& bucket = buckets_[b];
        OwnedShard& shard = bucket.shard;
        shard.gradient = memory[MemoryKind::Gradients].allocate(shard.name + " gradient", accumulation_, shard_shape(bucket.length));
        bucket.gradient = apart(b) ? memory[MemoryKind::Communication].allocate(shard.name + " in transit", accumulation_, {bucket.length})
                                   : transit_.rows(0, bucket.length);
    }
}

void GradientBuckets::lend_buffers(DeviceMemory& memory) {
    std::size_t largest = 0;
    for (const Bucket& bucket : buckets_) largest = std::max(largest, bucket.gradient.bytes());
    const std::int64_t staged =
        std::max(replicas(groups_.tensor, &Parameter::sum_over_tensor), replicas(groups_.ends, &Parameter::sum_over_ends));
    const auto allocate = [&](const char* name, DType dtype, std::int64_t n) {
        return n > 0 ? memory[MemoryKind::Communication].allocate(name, dtype, {n}) : Tensor();
    };
    staging_ = allocate("staged replicas", accumulation_, std::min(staged, kStaging));
    groups_.data.lend(allocate("reduction buffer", DType::U8, static_cast<std::int64_t>(groups_.data.buffer_bytes(largest))));
    groups_.ends.lend(allocate("reduction buffer of replicas", DType::U8,
                               static_cast<std::int64_t>(groups_.ends.buffer_bytes(staging_ ? staging_.bytes() : 0))));
}

std::int64_t GradientBuckets::replicas(const Communicator& group, Tag tag) const {
    std::int64_t elements = 0;
    for (const Bucket& bucket : buckets_) {
        // Of whole buckets: what a rank's shard has of them differs from rank to rank, its memory should not.
        for (const BucketPiece& piece : bucket.pieces) {
            if (group.size() > 1 && table_[piece.parameter].*tag) elements += piece.count;
        }
    }
    return elements;
}

GradientBuckets::Bucket& GradientBuckets::at(std::size_t bucket) {
    require(bucket < buckets_.size(), "bucket {} of {}", bucket, buckets_.size());
    return buckets_[bucket];
}

std::vector<BucketPiece> GradientBuckets::pieces_of(std::size_t bucket, int owner) const {
    const Bucket& b = buckets_.at(bucket);
    return BucketLayout{b.pieces, b.length}.block(owner, owners());
}

void GradientBuckets::zero(Context& ctx) {
    if (in_transit()) ops::zero(ctx, transit_);
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        const Bucket& bucket = buckets_[b];
        if (bucket.pieces.empty()) continue;
        if (!in_transit() || apart(b)) ops::zero(ctx, bucket.gradient);
        if (in_transit()) ops::zero(ctx, bucket.shard.gradient);
    }
}

void GradientBuckets::notify_ready(Context& ctx, std::size_t b) {
    const Bucket& bucket = at(b);
    if (bucket.pieces.empty()) return;
    if (!sharded_) return groups_.data.all_reduce(ctx.stream, bucket.gradient);
    const Tensor sum = own_part(bucket.gradient);
    groups_.data.reduce_scatter(ctx.stream, bucket.gradient, sum);
    if (!in_transit()) return;
    ops::axpy(ctx, 1.0, sum, bucket.shard.gradient);
    ops::zero(ctx, bucket.gradient);
}

void GradientBuckets::add_replicas(Context& ctx) {
    add_up(ctx, groups_.tensor, &Parameter::sum_over_tensor);
    add_up(ctx, groups_.ends, &Parameter::sum_over_ends);
}

/// Large pieces are added up where they are, a slice at a time; small ones are staged side by side, because latency is what they cost.
void GradientBuckets::add_up(Context& ctx, Communicator& group, Tag tag) {
    if (group.size() == 1) return;
    std::vector<Tensor> staged;
    std::int64_t filled = 0;
    const auto flush = [&] {
        if (staged.empty()) return;
        std::int64_t at = 0;
        for (const Tensor& x : staged) ops::cast(ctx, x, staging_.rows(at, at + x.elements())), at += x.elements();
        group.all_reduce(ctx.stream, staging_.rows(0, filled));
        at = 0;
        for (const Tensor& x : staged) ops::cast(ctx, staging_.rows(at, at + x.elements()), x), at += x.elements();
        staged.clear();
        filled = 0;
    };
    for (const Bucket& bucket : buckets_) {
        for (const BucketPiece& piece : bucket.shard.pieces) {
            if (!(table_[piece.parameter].*tag)) continue;
            for (std::int64_t done = 0; done < piece.count; done += kStaging) {
                const std::int64_t n = std::min(kStaging, piece.count - done);
                const Tensor slice = flat_part(bucket.shard.gradient, piece.offset + done, n);
                if (n == kStaging) {
                    group.all_reduce(ctx.stream, slice);
                    continue;
                }
                if (filled + n > kStaging) flush();  // where, the ranks agree: not every one has as much to stage over other groups
                staged.push_back(slice);
                filled += n;
            }
        }
    }
    flush();
}

void GradientBuckets::gather(Context& ctx, std::size_t b) {
    const Bucket& bucket = at(b);
    if (bucket.pieces.empty()) return;
    const OwnedShard& shard = bucket.shard;
    if (!sharded_) {
        for (const BucketPiece& piece : shard.pieces)
            ops::cast(ctx, flat_part(shard.master, piece.offset, piece.count), flat_part(table_[piece.parameter].weight, 0, piece.count));
        return;
    }
    const Tensor all(bucket.gradient.raw(), bucket.wire, {bucket.length});
    const Tensor own = own_part(all);
    for (const BucketPiece& piece : shard.pieces)
        ops::cast(ctx, flat_part(shard.master, piece.offset, piece.count), flat_part(own, piece.offset, piece.count));
    groups_.data.all_gather(ctx.stream, own, all);
    for (const BucketPiece& piece : bucket.pieces)
        ops::cast(ctx, flat_part(all, piece.offset, piece.count), flat_part(table_[piece.parameter].weight, 0, piece.count));
}

}  // namespace tandem
