// Kernels of kernels/ops/elementwise.h. Each enqueues its work and returns what the launch reports.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// y = x, rounded to nearest even.
Status launch_cast(Extent extent, const Rows& x, const Rows& y, StreamHandle stream);
/// y = a + b, all of one type; summed in fp32. y may be a or b.
Status launch_add(Extent extent, const Rows& a, const Rows& b, const Rows& y, StreamHandle stream);
/// y += alpha x, in fp32.
Status launch_axpy(Extent extent, float alpha, const Rows& x, const Rows& y, StreamHandle stream);

}  // namespace tandem::cuda
