#include "src/engine/train_state.h"

#include "kernels/base/backend.h"
#include "src/engine/rectangles.h"

namespace tandem {

std::string_view name(StatePart part) {
    switch (part) {
        case StatePart::Master: return "master";
        case StatePart::FirstMoment: return "exp_avg";
        case StatePart::SecondMoment: return "exp_avg_sq";
    }
    return "?";
}

TrainState::TrainState(ParamTable& table, GradientBuckets& buckets, Optimizer& optimizer)
    : table_(table), buckets_(buckets), optimizer_(optimizer), parts_{StatePart::Master} {
    if (optimizer.has_moments()) parts_ = {StatePart::Master, StatePart::FirstMoment, StatePart::SecondMoment};
    const std::int64_t most = kBoxBytes / static_cast<std::int64_t>(size_of(dtype()));
    for (std::size_t b = 0; b < buckets.size(); ++b) {
        for (const auto& piece : buckets.owned(b).pieces) {
            const Parameter& p = table[piece.parameter];
            std::int64_t offset = piece.offset;
            for (const Box& box : rectangles(p.box, piece.first, piece.count, most)) {
                owned_.push_back({piece.parameter, box, buckets.first_owner() && p.counts_in_norm, b, offset});
                offset += box.shape.elements();
            }
        }
    }
}

Tensor TrainState::at(const OwnedBox& box, StatePart part) const {
    const Optimizer::Moments& moments = optimizer_.moments()[box.bucket];
    const Tensor& flat = part == StatePart::Master        ? buckets_.owned(box.bucket).master
                         : part == StatePart::FirstMoment ? moments.m
                                                          : moments.v;
    return flat.rows(box.offset, box.offset + box.box.shape.elements());
}

void TrainState::read(Context& ctx, const OwnedBox& box, StatePart part, std::span<std::byte> values) const {
    const Tensor source = at(box, part);
    require(values.size() == source.bytes(), "{} bytes for {} {}", values.size(), table_[box.parameter].name, source.str());
    ctx.backend.copy_to_host(ctx.stream, source, values.data());
    ctx.stream.synchronize();
}

void TrainState::write(Context& ctx, const OwnedBox& box, StatePart part, std::span<const std::byte> values) {
    const Tensor target = at(box, part);
    require(values.size() == target.bytes(), "{} bytes for {} {}", values.size(), table_[box.parameter].name, target.str());
    ctx.backend.copy_from_host(ctx.stream, values.data(), target);
    ctx.stream.synchronize();
}

void TrainState::publish(Context& ctx) {
    for (std::size_t b = 0; b < buckets_.size(); ++b) buckets_.gather(ctx, b);
}

}  // namespace tandem
