// The kernel of ops::adamw_8bit (kernels/ops/optimizer.h).
#pragma once

#include "kernels/cuda/adamw_step.h"
#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// A dynamic map both ways (kernels/quant/dynamic_map.h), passed to the kernel by value.
struct DynamicCode {
    float map[256];
    /// First places of codes 1 to 255 as a binary tree: node i's children are 2i and 2i + 1. Node 0 is not used.
    std::uint16_t tree[256];
};
struct MomentCodes {
    DynamicCode m, v;
};

struct EightBitState {
    std::int64_t n;
    const float* grad;
    std::uint8_t *m, *v;
    float *m_absmax, *v_absmax;
    float* master;
};

Status launch_adamw_8bit(const AdamWStep& step, const double* grad_scale, const EightBitState& state, const MomentCodes& codes,
                         StreamHandle stream);

}  // namespace tandem::cuda
