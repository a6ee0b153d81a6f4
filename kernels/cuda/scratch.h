// What the cuda backend's ops take from the workspace, said once for the ops and for the dry run of them (kernels/cuda/dry/).
// Sizes are functions of shapes alone, so that a plan needs no GPU.
#pragma once

#include "kernels/base/context.h"

namespace tandem::cuda {

/// Always the same, so that memory is known before a GPU is asked for an algorithm.
inline constexpr std::int64_t kMatmulWorkspace = std::int64_t{32} << 20U;

inline Tensor take_matmul_workspace(Context& ctx) { return ctx.workspace.allocate("matmul workspace", DType::U8, {kMatmulWorkspace}); }

/// D [heads, tokens] of q [tokens, heads, d].
inline Tensor take_attention_delta(Context& ctx, const Tensor& q) {
    return ctx.workspace.allocate("attention D", DType::F32, {q.extent(1), q.extent(0)});
}

}  // namespace tandem::cuda
