// Kernel of dropout (kernels/ops/elementwise.h).
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// DropoutMask as the device takes it.
struct Dropout {
    std::uint64_t key;
    std::uint32_t threshold;  ///< uniform01_threshold(p)
    float scale;              ///< 1 / (1 - p)
    std::int64_t first_column;
    const std::int64_t* row_ids;
};

/// y = x scale where the mask keeps it, 0 elsewhere. y may be x.
Status launch_dropout(Extent extent, const Dropout& dropout, const Rows& x, const Rows& y, StreamHandle stream);

}  // namespace tandem::cuda
