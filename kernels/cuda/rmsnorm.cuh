// Kernels of kernels/ops/rmsnorm.h. Each enqueues its work and returns what the launch reports.
#pragma once

#include <algorithm>

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// x [rows, columns], columns below 2^31, as both directions have it; w [columns] of x's type.
struct NormInput {
    Extent extent;
    Rows x;
    const void* w;
    float eps, weight_offset;
};

/// y and, unless null, rstd [rows].
Status launch_rmsnorm(const NormInput& in, const Rows& y, float* rstd, StreamHandle stream);

enum class NormWrite : std::uint8_t { Overwrite, Accumulate };

/// Row ranges whose shares of dw are summed apart, by one block each: as many as keep every card busy, of at least eight rows for each
/// team of threads (a warp, where rows are short), and the same on every card, since the memory for them is planned without one.
inline constexpr std::int64_t kNarrowNorm = 1024;    ///< columns that a warp holds
inline constexpr std::int64_t kNarrowNormRows = 64;  ///< of a block whose warps have a row each
inline std::int64_t norm_gradient_ranges(Extent extent) {
    const std::int64_t rows = extent.columns <= kNarrowNorm ? kNarrowNormRows : 8;
    return std::min<std::int64_t>((extent.rows + rows - 1) / rows, 1024);
}

/// dx. With dw [columns], unless null, also dw += sum_i dy x rstd, by way of partial [norm_gradient_ranges, columns].
Status launch_rmsnorm_backward(const NormInput& in, const Rows& dy, const float* rstd, const Rows& dx, NormWrite write, float* partial,
                               float* dw, StreamHandle stream);

}  // namespace tandem::cuda
