// The kernel of kernels/ops/quantization.h.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// What codes stand for, passed to the kernel by value.
struct FourBitTables {
    float values[16];
    float map[256];  ///< of absmax codes
};

/// FourBitMatrix in numbers. absmax: one of the two is null.
struct FourBitBox {
    const std::uint8_t* codes;
    const float* absmax;
    const std::uint8_t* absmax_codes;
    const float *nested, *offset;
    std::int64_t first, stride;  ///< in the whole matrix: flat index of the box's first element, columns
    std::int64_t lines, line_blocks;
    int block_shift;  ///< blocks have 2^block_shift elements
};

/// y, row by row; one row where it and the box are contiguous.
Status launch_dequantize(const FourBitBox& box, const FourBitTables& tables, Extent extent, const Rows& y, StreamHandle stream);

}  // namespace tandem::cuda
