// Kernels of kernels/ops/optimizer.h, except for eight-bit moments. Each enqueues its work and returns what the launch reports.
#pragma once

#include <algorithm>

#include "kernels/cuda/adamw_step.h"
#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// Numbers that launch_squares leaves for n elements: the same on every card, since the memory for them is planned without one.
inline constexpr std::int64_t kSquaresShare = 8192;
inline std::int64_t squares_parts(std::int64_t n) { return std::min<std::int64_t>((n + kSquaresShare - 1) / kSquaresShare, 1024); }
/// parts [squares_parts(n)]: sums of squares, in fp64, of parts of x, n elements in one row.
Status launch_squares(std::int64_t n, const Rows& x, double* parts, StreamHandle stream);

/// norm and scale, fp64, from the sum of squares. max_norm <= 0: no clipping.
Status launch_clip_scale(const double* sum, double max_norm, double inverse_tokens, double* norm, double* scale, StreamHandle stream);

Status launch_adamw(std::int64_t n, const AdamWStep& step, const double* grad_scale, const float* grad, float* m, float* v, float* master,
                    StreamHandle stream);
Status launch_sgd(std::int64_t n, double learning_rate, float decay, const double* grad_scale, const float* grad, float* master,
                  StreamHandle stream);

}  // namespace tandem::cuda
