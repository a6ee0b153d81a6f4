#include "src/engine/train_state.h"

#include "kernels/base/backend.h"

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
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (table[i].trainable) trained_.push_back(i);
    }
    if (buckets.size() == 0) return;
    dtype_ = buckets.owned(0).master.dtype();
    if (optimizer.moments()[0].m) parts_ = {StatePart::Master, StatePart::FirstMoment, StatePart::SecondMoment};
}

Tensor TrainState::piece(std::size_t parameter, StatePart part) const {
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        const OwnedShard& shard = buckets_.owned(b);
        for (const auto& piece : shard.pieces) {
            if (piece.parameter != parameter) continue;
            require(piece.first == 0 && piece.count == table_[parameter].global.elements(), "rank holds only a part of {}",
                    table_[parameter].name);
            const Optimizer::Moments& moments = optimizer_.moments()[b];
            const Tensor& flat = part == StatePart::Master ? shard.master : part == StatePart::FirstMoment ? moments.m : moments.v;
            return flat.rows(piece.offset, piece.offset + piece.count);
        }
    }
    fail(Failure::Run, "{} is in no bucket", table_[parameter].name);
}

std::vector<std::byte> TrainState::read(Context& ctx, std::size_t parameter, StatePart part) const {
    const Tensor source = piece(parameter, part);
    std::vector<std::byte> values(source.bytes());
    ctx.backend.copy_to_host(ctx.stream, source, values.data());
    ctx.stream.synchronize();
    return values;
}

void TrainState::write(Context& ctx, std::size_t parameter, StatePart part, const std::vector<std::byte>& values) {
    const Tensor target = piece(parameter, part);
    require(values.size() == target.bytes(), "{} bytes for {} {}", values.size(), table_[parameter].name, target.str());
    ctx.backend.copy_from_host(ctx.stream, values.data(), target);
    ctx.stream.synchronize();
}

void TrainState::publish(Context& ctx) {
    for (std::size_t b = 0; b < buckets_.size(); ++b) buckets_.gather(ctx, b);
}

}  // namespace tandem
