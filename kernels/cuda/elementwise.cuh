// Kernels of kernels/ops/elementwise.h. Each enqueues its work and returns what the launch reports.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// y = x, rounded to nearest even.
cudaError_t launch_cast(Extent extent, const Rows& x, const Rows& y, cudaStream_t stream);
/// y = a + b, all of one type; summed in fp32. y may be a or b.
cudaError_t launch_add(Extent extent, const Rows& a, const Rows& b, const Rows& y, cudaStream_t stream);
/// y += alpha x, in fp32.
cudaError_t launch_axpy(Extent extent, float alpha, const Rows& x, const Rows& y, cudaStream_t stream);

}  // namespace tandem::cuda
