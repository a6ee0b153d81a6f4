#include "parallel/gradient_buckets.h"

#include <algorithm>

#include "kernels/ops/elementwise.h"

namespace tandem {
namespace {

std::int64_t round_up(std::int64_t n, std::int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Elements [offset, offset + shape) of a flat tensor, with a shape of their own.
Tensor part(const Tensor& flat, std::int64_t offset, const Shape& shape) {
    return flat.rows(offset, offset + shape.elements()).reshape(shape);
}

}  // namespace

GradientBuckets::GradientBuckets(ParamTable& table, Communicator& data, DeviceMemory& memory, DType accumulation)
    : table_(table), data_(data) {
    std::vector<std::int64_t> lengths;
    for (std::size_t p = 0; p < table.size(); ++p) {
        const Parameter& parameter = table[p];
        if (!parameter.trainable) continue;
        require(parameter.bucket >= 0 && parameter.weight && parameter.weight.shape() == parameter.box.shape,
                "parameter {} in bucket {}: weight {}, box {}", parameter.name, parameter.bucket, parameter.weight.str(),
                parameter.box.shape.str());
        const auto b = static_cast<std::size_t>(parameter.bucket);
        if (b >= buckets_.size()) buckets_.resize(b + 1), lengths.resize(b + 1);
        const auto count = parameter.box.shape.elements();
        buckets_[b].shard.pieces.push_back({.parameter = p, .first = 0, .count = count, .offset = lengths[b]});
        // Every parameter starts on a block, so that blocks of the flat bucket are blocks of the parameter.
        lengths[b] += round_up(count, kAlignment);
    }
    std::size_t largest = 0;
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        auto& [gradient, shard] = buckets_[b];
        shard.name = fmt::format("bucket {}", b);
        const Shape flat{round_up(lengths[b], kAlignment * data.size())};
        gradient = memory[MemoryKind::Gradients].allocate(shard.name + " gradient", accumulation, flat);
        shard.gradient = gradient;
        shard.master = memory[MemoryKind::Master].allocate(shard.name + " master", accumulation, flat);
        largest = std::max(largest, gradient.bytes());
        for (const auto& piece : shard.pieces) {
            Parameter& parameter = table[piece.parameter];
            parameter.gradient = part(gradient, piece.offset, parameter.box.shape);
        }
    }
    const auto buffer = static_cast<std::int64_t>(data.buffer_bytes(largest));
    if (buffer > 0) data.lend(memory[MemoryKind::Communication].allocate("reduction buffer", DType::U8, {buffer}));
}

void GradientBuckets::zero(Context& ctx) {
    for (auto& bucket : buckets_) {
        if (!bucket.shard.pieces.empty()) ops::zero(ctx, bucket.gradient);
    }
}

void GradientBuckets::notify_ready(Context& ctx, std::size_t bucket) {
    require(bucket < buckets_.size(), "bucket {} of {}", bucket, buckets_.size());
    if (!buckets_[bucket].shard.pieces.empty()) data_.all_reduce(ctx.stream, buckets_[bucket].gradient);
}

void GradientBuckets::gather(Context& ctx, std::size_t bucket) {
    require(bucket < buckets_.size(), "bucket {} of {}", bucket, buckets_.size());
    const OwnedShard& shard = buckets_[bucket].shard;
    for (const auto& piece : shard.pieces) {
        const Parameter& parameter = table_[piece.parameter];
        ops::cast(ctx, part(shard.master, piece.offset, parameter.box.shape), parameter.weight);
    }
}

}  // namespace tandem
