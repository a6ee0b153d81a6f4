#include "src/engine/optimizer.h"

#include <cmath>
#include <sstream>
#include <utility>

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/optimizer.h"

namespace tandem {
namespace {

Tensor part(const Tensor& flat, const OwnedShard::Piece& piece) { return flat.rows(piece.offset, piece.offset + piece.count); }

double read_scalar(Context& ctx, const Tensor& x) {
    double value = 0;
    ctx.backend.copy_to_host(ctx.stream, x, &value);
    ctx.stream.synchronize();
    return value;
}

}  // namespace

Optimizer::Optimizer(const OptimizerSection& settings, GradientBuckets& buckets, ParamTable& table, Communicator& world, Context ctx,
                     DeviceMemory& memory)
    : settings_(settings), buckets_(buckets), table_(table), world_(world) {
    Arena& arena = memory[MemoryKind::Optimizer];
    for (std::size_t b = 0; b < buckets.size(); ++b) {
        Moments moments;
        if (has_moments()) {
            const Tensor& like = buckets.owned(b).master;
            moments.m = arena.allocate(buckets.owned(b).name + " exp_avg", like.dtype(), like.shape());
            moments.v = arena.allocate(buckets.owned(b).name + " exp_avg_sq", like.dtype(), like.shape());
            ops::zero(ctx, moments.m);
            ops::zero(ctx, moments.v);
        }
        moments_.push_back(moments);
    }
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

void Optimizer::update_piece(Context& ctx, std::size_t bucket, const OwnedShard::Piece& piece, double learning_rate, std::int64_t step) {
    const OwnedShard& shard = buckets_.owned(bucket);
    const Tensor gradient = part(shard.gradient, piece), master = part(shard.master, piece);
    const double decay = weight_decay(table_[piece.parameter]);
    if (settings_.name == OptimizerName::Sgd) {
        ops::sgd(ctx, {learning_rate, decay}, scale_, gradient, master);
        return;
    }
    const AdamW params{learning_rate, settings_.beta1, settings_.beta2, settings_.eps, decay, step};
    ops::adamw(ctx, params, scale_, gradient, part(moments_[bucket].m, piece), part(moments_[bucket].v, piece), master);
}

void Optimizer::clip(Context& ctx, std::int64_t tokens) {
    ops::clip_scale(ctx, sum_, settings_.max_grad_norm, 1.0 / static_cast<double>(tokens), norm_, scale_);
}

void Optimizer::update(Context& ctx, std::size_t bucket, double learning_rate, std::int64_t step) {
    for (const auto& piece : buckets_.owned(bucket).pieces) update_piece(ctx, bucket, piece, learning_rate, step);
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
