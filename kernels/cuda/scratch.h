// What the cuda backend's ops take from the workspace, said once for the ops and for the dry run of them (kernels/cuda/dry/).
// Sizes are functions of shapes alone, so that a plan needs no GPU.
#pragma once

#include "kernels/base/context.h"
#include "kernels/cuda/bias.cuh"
#include "kernels/cuda/embedding.cuh"
#include "kernels/cuda/optimizer.cuh"
#include "kernels/cuda/rmsnorm.cuh"

namespace tandem::cuda {

/// Always the same, so that memory is known before a GPU is asked for an algorithm.
inline constexpr std::int64_t kMatmulWorkspace = std::int64_t{32} << 20U;

inline Tensor take_matmul_workspace(Context& ctx) { return ctx.workspace.allocate("matmul workspace", DType::U8, {kMatmulWorkspace}); }

inline Tensor take_norm_gradient_sums(Context& ctx, const Tensor& x) {
    const Extent extent{x.extent(0), x.extent(1)};
    return ctx.workspace.allocate("rmsnorm dw partial sums", DType::F32, {norm_gradient_ranges(extent), extent.columns});
}

inline Tensor take_row_losses(Context& ctx, const Tensor& logits) {
    return ctx.workspace.allocate("cross_entropy row losses", DType::F64, {logits.extent(0)});
}

inline Tensor take_squares_parts(Context& ctx, std::int64_t elements) {
    return ctx.workspace.allocate("sum_of_squares parts", DType::F64, {squares_parts(elements)});
}

/// Sums of parts of dy's rows. Absent where there is one part.
inline Tensor take_column_sums(Context& ctx, const Tensor& dy) {
    const std::int64_t parts = column_sum_parts({dy.extent(0), dy.extent(1)});
    return parts == 1 ? Tensor() : ctx.workspace.allocate("bias_backward partial sums", DType::F32, {parts, dy.extent(1)});
}

/// Of ids [n]: where tokens lie when sorted by id.
struct TokenOrder {
    Tensor ranks, order;
};
inline TokenOrder take_token_order(Context& ctx, const Tensor& ids) {
    const std::int64_t n = ids.extent(0);
    return {ctx.workspace.allocate("token ranks", DType::I32, {rank_parts(n), n}), ctx.workspace.allocate("token order", DType::I32, {n})};
}

/// Where attention is a library's: its lse [tokens, heads] of q [tokens, heads, d], and what it and its tables may take. Calls that need
/// more go to own kernels, so that the plan holds for every version of the library.
inline constexpr std::int64_t kAttentionLibraryWorkspace = std::int64_t{16} << 20U;
struct AttentionLibrarySpace {
    Tensor lse, rest;
};
inline AttentionLibrarySpace take_attention_library_space(Context& ctx, const Tensor& q) {
    return {ctx.workspace.allocate("attention lse by tokens", DType::F32, {q.extent(0), q.extent(1)}),
            ctx.workspace.allocate("attention library workspace", DType::U8, {kAttentionLibraryWorkspace})};
}

/// D [heads, tokens] of q [tokens, heads, d].
inline Tensor take_attention_delta(Context& ctx, const Tensor& q) {
    return ctx.workspace.allocate("attention D", DType::F32, {q.extent(1), q.extent(0)});
}

}  // namespace tandem::cuda
