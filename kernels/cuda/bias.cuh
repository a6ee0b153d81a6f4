// Kernels of kernels/ops/bias.h.
#pragma once

#include <algorithm>

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// y += bias in every row.
Status launch_bias_add(Extent extent, const Rows& bias, const Rows& y, StreamHandle stream);

/// Parts of the rows whose sums are taken by blocks of their own: about a thousand blocks, of at least 64 rows each.
inline std::int64_t column_sum_parts(Extent extent) {
    const std::int64_t blocks_across = (extent.columns + 255) / 256;
    return std::clamp<std::int64_t>(extent.rows / 64, 1, std::max<std::int64_t>(1024 / blocks_across, 1));
}

/// sums [columns] += column sums of x. partial: fp32 [column_sum_parts, columns], not needed for one part. The order of the sum is a
/// function of the extent and of x's alignment alone.
Status launch_column_sums(Extent extent, const Rows& x, float* partial, float* sums, StreamHandle stream);

}  // namespace tandem::cuda
