// What the cpu's ops take from the workspace, said once for the ops and for the dry run of them.
#pragma once

#include "kernels/base/context.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/tiles.h"

namespace tandem::cpu {

/// Tiles of one thread in attention, floats.
[[nodiscard]] constexpr std::int64_t attention_tiles(std::int64_t head_dim) { return kTile * (4 * padded(head_dim) + kTile); }
[[nodiscard]] constexpr std::int64_t attention_backward_tiles(std::int64_t head_dim) { return kTile * (6 * padded(head_dim) + 3 * kTile); }

inline Tensor take_attention_scratch(Context& ctx, int threads, std::int64_t floats) {
    return ctx.workspace.allocate("attention tiles", DType::F32, {threads, floats});
}
/// D [heads, tokens] of q [tokens, heads, d].
inline Tensor take_attention_delta(Context& ctx, const Tensor& q) {
    return ctx.workspace.allocate("attention D", DType::F32, {q.extent(1), q.extent(0)});
}
inline Tensor take_row_losses(Context& ctx, const Tensor& logits) {
    return ctx.workspace.allocate("cross_entropy row losses", DType::F64, {logits.extent(0)});
}

/// Sums over fixed pieces, added in order: the same for every number of threads.
inline constexpr std::int64_t kSumRange = 16 * kPiece;
inline Tensor take_partial_sums(Context& ctx, std::int64_t elements) {
    return ctx.workspace.allocate("sum_of_squares partial sums", DType::F64, {(elements + kSumRange - 1) / kSumRange});
}
inline Tensor take_norm_gradient_sums(Context& ctx, const Tensor& x) {
    return ctx.workspace.allocate("rmsnorm dw partial sums", DType::F32, {x.extent(0) < 64 ? x.extent(0) : 64, x.extent(1)});
}

}  // namespace tandem::cpu
