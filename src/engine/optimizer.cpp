#include "src/engine/optimizer.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/optimizer.h"

namespace tandem {
namespace {

Tensor part(const Tensor& flat, const OwnedShard::Piece& piece) { return flat.rows(piece.offset, piece.offset + piece.count); }
Tensor elements(const Tensor& flat, std::int64_t first, std::int64_t count) { return flat.rows(first, first + count); }

/// Of elements [first, first + count), first a multiple of 256.
EightBitMoments elements(const EightBitMoments& all, std::int64_t first, std::int64_t count) {
    constexpr std::int64_t kBlock = EightBitMoments::kBlock;
    const std::int64_t block = first / kBlock, blocks = (count + kBlock - 1) / kBlock;
    return {elements(all.m, first, count), elements(all.v, first, count), elements(all.m_absmax, block, blocks),
            elements(all.v_absmax, block, blocks)};
}

double read_scalar(Context& ctx, const Tensor& x) {
    double value = 0;
    ctx.backend.copy_to_host(ctx.stream, x, &value);
    ctx.stream.synchronize();
    return value;
}

}  // namespace

Optimizer::Optimizer(const OptimizerSection& settings, GradientBuckets& buckets, ParamTable& table, Communicator& world, Context ctx,
                     DeviceMemory& memory, std::int64_t page)
    : settings_(settings), buckets_(buckets), table_(table), world_(world), layout_(lay_out_moments(settings.name, table, buckets)) {
    Arena& arena = memory[MemoryKind::Optimizer];
    for (std::size_t b = 0; b < layout_.size(); ++b) {
        const auto zeros = [&](StatePart which) {
            const std::string name = fmt::format("{} {}", buckets.owned(b).name, tandem::name(which));
            const Tensor moment = arena.allocate(name, buckets.accumulation(), {layout_[b].most_wide});
            ops::zero(ctx, moment);
            return moment;
        };
        const Tensor m = zeros(StatePart::FirstMoment);
        moments_.push_back({m, zeros(StatePart::SecondMoment)});
    }
    if (settings.name == OptimizerName::AdamW8bit) eight_bit_ = make_resident_states(layout_, ctx, memory);
    if (settings.name == OptimizerName::PagedAdamW8bit) eight_bit_ = make_paged_states(layout_, ctx, memory, page);
    sum_ = arena.allocate("gradient norm squared", DType::F64, {1});
    norm_ = arena.allocate("gradient norm", DType::F64, {1});
    scale_ = arena.allocate("gradient scale", DType::F64, {1});
    probe_ = arena.allocate("gradient norm squared of one", DType::F64, {1});
}

double Optimizer::weight_decay(const Parameter& p) const {
    const bool norm = p.global.dims() == 1 && p.name.ends_with("norm.weight");
    const bool bias = p.name.ends_with(".bias");
    if ((norm && settings_.no_decay_norms) || (bias && settings_.no_decay_biases)) return 0;
    return settings_.weight_decay;
}

void Optimizer::measure(Context& ctx) {
    ops::zero(ctx, sum_);
    for (std::size_t b = 0; b < buckets_.size() && buckets_.first_owner(); ++b) {
        const OwnedShard& shard = buckets_.owned(b);
        for (const auto& piece : shard.pieces) {
            if (table_[piece.parameter].counts_in_norm) ops::sum_of_squares(ctx, part(shard.gradient, piece), sum_);
        }
    }
    world_.all_reduce(ctx.stream, sum_);
}

bool Optimizer::gradients_finite(Context& ctx) { return std::isfinite(read_scalar(ctx, sum_)); }

/// "bucket index name", or empty.
std::string Optimizer::first_non_finite_here(Context& ctx) {
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        const OwnedShard& shard = buckets_.owned(b);
        for (const auto& piece : shard.pieces) {
            ops::zero(ctx, probe_);
            ops::sum_of_squares(ctx, part(shard.gradient, piece), probe_);
            if (!std::isfinite(read_scalar(ctx, probe_))) return fmt::format("{} {} {}", b, piece.parameter, table_[piece.parameter].name);
        }
    }
    return "";
}

std::string Optimizer::first_non_finite(Context& ctx) {
    // Buckets are numbered by units, and ranks that hold parts of the same unit list the same parameters.
    using Place = std::pair<std::size_t, std::size_t>;
    std::string first;
    Place least;
    for (const std::string& text : world_.gather(first_non_finite_here(ctx))) {
        if (text.empty()) continue;
        std::istringstream words(text);
        Place place;
        std::string parameter;
        words >> place.first >> place.second >> parameter;
        if (!first.empty() && place >= least) continue;
        least = place;
        first = parameter;
    }
    return first;
}

double Optimizer::norm(Context& ctx) { return read_scalar(ctx, norm_); }

AdamW Optimizer::step_of(const Parameter& p, double learning_rate, std::int64_t step) const {
    return {learning_rate, settings_.beta1, settings_.beta2, settings_.eps, weight_decay(p), step};
}

void Optimizer::update_piece(Context& ctx, std::size_t bucket, std::size_t number, double learning_rate, std::int64_t step) {
    const OwnedShard& shard = buckets_.owned(bucket);
    const OwnedShard::Piece& piece = shard.pieces[number];
    const Parameter& p = table_[piece.parameter];
    const Tensor gradient = part(shard.gradient, piece), master = part(shard.master, piece);
    if (settings_.name == OptimizerName::Sgd) {
        ops::sgd(ctx, {learning_rate, weight_decay(p)}, scale_, gradient, master);
        return;
    }
    const BucketMoments::Piece& place = layout_[bucket].pieces[number];
    if (place.eight_bit) return;  // update_eight_bit()
    const auto moment = [&](const Tensor& flat) { return elements(flat, place.offset, piece.count); };
    ops::adamw(ctx, step_of(p, learning_rate, step), scale_, gradient, moment(moments_[bucket].m), moment(moments_[bucket].v), master);
}

void Optimizer::update_eight_bit(Context& ctx, std::size_t bucket, double learning_rate, std::int64_t step) {
    const OwnedShard& shard = buckets_.owned(bucket);
    eight_bit_->visit(ctx, bucket, [&](const EightBitMoments& moments, std::int64_t first, std::int64_t count) {
        for (std::size_t i = 0; i < shard.pieces.size(); ++i) {
            const OwnedShard::Piece& piece = shard.pieces[i];
            const BucketMoments::Piece& place = layout_[bucket].pieces[i];
            const std::int64_t begin = std::max(place.offset, first), end = std::min(place.offset + piece.count, first + count);
            if (!place.eight_bit || begin >= end) continue;
            const std::int64_t at = piece.offset + begin - place.offset;
            ops::adamw_8bit(ctx, step_of(table_[piece.parameter], learning_rate, step), scale_, elements(shard.gradient, at, end - begin),
                            elements(moments, begin - first, end - begin), elements(shard.master, at, end - begin));
        }
    });
}

Tensor Optimizer::wide_part(std::size_t bucket, StatePart part, std::int64_t first, std::size_t bytes) const {
    require(part == StatePart::FirstMoment || part == StatePart::SecondMoment, "{} is no moment", tandem::name(part));
    const Moments& moments = moments_.at(bucket);
    const Tensor& flat = part == StatePart::FirstMoment ? moments.m : moments.v;
    return elements(flat, first, static_cast<std::int64_t>(bytes / size_of(flat.dtype())));
}

void Optimizer::read(Context& ctx, std::size_t bucket, StatePart part, std::int64_t first, std::span<std::byte> values) {
    if (is_codes(part) || is_absmax(part)) {
        require(eight_bit_ != nullptr, "there is no {}", tandem::name(part));
        return eight_bit_->read(ctx, bucket, part, first, values);
    }
    ctx.backend.copy_to_host(ctx.stream, wide_part(bucket, part, first, values.size()), values.data());
    ctx.stream.synchronize();
}

void Optimizer::write(Context& ctx, std::size_t bucket, StatePart part, std::int64_t first, std::span<const std::byte> values) {
    if (is_codes(part) || is_absmax(part)) {
        require(eight_bit_ != nullptr, "there is no {}", tandem::name(part));
        return eight_bit_->write(ctx, bucket, part, first, values);
    }
    ctx.backend.copy_from_host(ctx.stream, values.data(), wide_part(bucket, part, first, values.size()));
    ctx.stream.synchronize();
}

void Optimizer::clip(Context& ctx, std::int64_t tokens) {
    ops::clip_scale(ctx, sum_, settings_.max_grad_norm, 1.0 / static_cast<double>(tokens), norm_, scale_);
}

void Optimizer::update(Context& ctx, std::size_t bucket, double learning_rate, std::int64_t step) {
    for (std::size_t i = 0; i < buckets_.owned(bucket).pieces.size(); ++i) update_piece(ctx, bucket, i, learning_rate, step);
    if (eight_bit_) update_eight_bit(ctx, bucket, learning_rate, step);
}

void Optimizer::step(Context& ctx, double learning_rate, std::int64_t tokens, std::int64_t step) {
    measure(ctx);
    clip(ctx, tokens);
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        update(ctx, b, learning_rate, step);
        buckets_.gather(ctx, b);
    }
}

}  // namespace tandem
