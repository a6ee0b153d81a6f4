// Kernel of kernels/ops/rope.h.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

struct Rope {
    const float *cos, *sin;  ///< [positions, half], contiguous
    std::int64_t positions, half;
    const std::int32_t* position;  ///< of each token
    std::int64_t tokens, heads, head_dim;
    float sign;  ///< 1 rotates forward, -1 back
};

/// In place on x, a row a token.
Status launch_rope(const Rope& rope, const Rows& x, StreamHandle stream);

}  // namespace tandem::cuda
