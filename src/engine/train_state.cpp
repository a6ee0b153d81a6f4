#include "src/engine/train_state.h"

#include <algorithm>

#include "kernels/base/backend.h"
#include "kernels/ops/types.h"
#include "src/engine/rectangles.h"

namespace tandem {

TrainState::TrainState(ParamTable& table, GradientBuckets& buckets, Optimizer& optimizer)
    : table_(table), buckets_(buckets), optimizer_(optimizer) {
    for (const StatePart part : kStateParts) {
        list(part);
        if (part == StatePart::Master) masters_ = owned_.size();
    }
}

void TrainState::list(StatePart part) {
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        const auto& pieces = buckets_.owned(b).pieces;
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            const auto parts = parts_of(optimizer(), table_[pieces[i].parameter]);
            if (std::ranges::find(parts, part) != parts.end()) list_piece(part, b, i);
        }
    }
}

void TrainState::list_piece(StatePart part, std::size_t bucket, std::size_t number) {
    const OwnedShard::Piece& piece = buckets_.owned(bucket).pieces[number];
    const Parameter& p = table_[piece.parameter];
    const std::int64_t unit = is_absmax(part) ? EightBitMoments::kBlock : 1;  // pieces begin at multiples of it
    const std::int64_t begin = part == StatePart::Master ? piece.offset : optimizer_.layout(bucket).pieces[number].offset;
    const std::int64_t most = kBoxBytes / static_cast<std::int64_t>(size_of(type_of(part, dtype())));
    std::int64_t offset = begin / unit;
    for (const Box& box : rectangles(box_of(part, p), piece.first / unit, (piece.count + unit - 1) / unit, most)) {
        owned_.push_back({piece.parameter, part, box, buckets_.first_owner() && p.counts_in_norm, bucket, offset});
        offset += box.shape.elements();
    }
}

Tensor TrainState::master(const OwnedBox& box) const {
    const Tensor& flat = buckets_.owned(box.bucket).master;
    return flat.rows(box.offset, box.offset + box.box.shape.elements());
}

void TrainState::read(Context& ctx, const OwnedBox& box, std::span<std::byte> values) const {
    require(values.size() == bytes(box), "{} bytes for {} of {} {}", values.size(), box.box.shape.str(), name(box.part),
            table_[box.parameter].name);
    if (box.part != StatePart::Master) return optimizer_.read(ctx, box.bucket, box.part, box.offset, values);
    ctx.backend.copy_to_host(ctx.stream, master(box), values.data());
    ctx.stream.synchronize();
}

void TrainState::write(Context& ctx, const OwnedBox& box, std::span<const std::byte> values) {
    require(values.size() == bytes(box), "{} bytes for {} of {} {}", values.size(), box.box.shape.str(), name(box.part),
            table_[box.parameter].name);
    if (box.part != StatePart::Master) return optimizer_.write(ctx, box.bucket, box.part, box.offset, values);
    ctx.backend.copy_from_host(ctx.stream, values.data(), master(box));
    ctx.stream.synchronize();
}

void TrainState::publish(Context& ctx) {
    for (std::size_t b = 0; b < buckets_.size(); ++b) buckets_.gather(ctx, b);
}

}  // namespace tandem
