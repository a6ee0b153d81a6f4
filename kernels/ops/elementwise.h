// Elementwise ops. Shapes equal; operands may be row-strided; y may be x (same type) unless said otherwise.
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// x = 0. Any type.
void zero(Context&, const Tensor& x);

/// y = x, converted (round to nearest even). Any floating-point types; also plain copies of equal types, integers included.
/// Bytes moved: those of x and y.
void cast(Context&, const Tensor& x, const Tensor& y);

/// y = a + b, one type, computed in the accumulation type. y may be a or b.
void add(Context&, const Tensor& a, const Tensor& b, const Tensor& y);

/// y += alpha x. Types may differ; computed in y's accumulation type.
void axpy(Context&, double alpha, const Tensor& x, const Tensor& y);

/// y[i, j] = keep(i, j) ? x[i, j] / (1 - p) : 0, keep(i, j) = uniform(philox_word(key; row_ids[i], first_column + j)) >= p.
/// x, y [n, columns]; row_ids int64 [n]. Its own backward: the same call on gradients. Philox4x32-10: kernels/base/philox.h.
void dropout(Context&, const DropoutMask& mask, const Tensor& row_ids, const Tensor& x, const Tensor& y);

}  // namespace tandem::ops
