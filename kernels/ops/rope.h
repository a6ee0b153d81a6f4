// Rotary position embedding (Su et al., arXiv 2104.09864), in the half-split layout of Hugging Face checkpoints:
// the pair of element j < d/2 is element j + d/2.
//   x'_j = x_j cos - x_{j+d/2} sin;   x'_{j+d/2} = x_{j+d/2} cos + x_j sin
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// In place on x [n, heads, head_dim] (row-strided allowed). cos, sin [positions, d/2] in the accumulation type of x,
/// d <= head_dim: with d < head_dim only the first d elements of a head are rotated. positions int32 [n] index the tables.
/// Rotation::Backward applies the transpose, which is what gradients need.
void rope(Context&, Rotation rotation, const Tensor& cos, const Tensor& sin, const Tensor& positions, const Tensor& x);

}  // namespace tandem::ops
