// RMSNorm (Zhang & Sennrich, arXiv 1910.07467).
//   rstd_i = 1 / sqrt(mean_j x_ij^2 + eps);  y_ij = x_ij rstd_i (o + w_j)
//   g_ij = dy_ij (o + w_j);  dx_ij = rstd_i (g_ij - x_ij rstd_i^2 mean_j(g_ij x_ij));  dw_j = sum_i dy_ij x_ij rstd_i
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// x, y [n, h] of one type (y may be x); w [h] of that type; rstd [n] in the accumulation type, may be absent.
/// Statistics and products in the accumulation type; x rstd is rounded to the compute type before the product with w, as
/// transformers' LlamaRMSNorm does, when weight_offset is 0.
void rmsnorm(Context&, const RmsNorm& norm, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd);

/// dx = ..., or dx += ... with Write::Accumulate (dx then already holds the residual's gradient; dx may be dy when
/// overwriting). dw [h] += ... in the accumulation type; absent = w is frozen.
void rmsnorm_backward(Context&, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& rstd,
                      const Tensor& dx, Write write, const Tensor& dw);

}  // namespace tandem::ops
