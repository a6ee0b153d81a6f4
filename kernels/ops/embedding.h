// Rows by index: embedding lookup, and the selection of trained positions before the head.
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// y[i] = table[ids[i]]. table [vocabulary, h] and y [n, h] of one type, ids int32 [n]. An id of -1 gives a row of zeros: it lies in
/// another rank's part of the table (Shoeybi et al., arXiv 1909.08053, section 3). Any other id outside the table throws.
void embedding(Context&, const Tensor& table, const Tensor& ids, const Tensor& y);

/// dtable[ids[i]] += dy[i], in the order of i (deterministic); ids of -1 are passed over. dtable [vocabulary, h] in the accumulation
/// type of dy.
void embedding_backward(Context&, const Tensor& dy, const Tensor& ids, const Tensor& dtable);

/// y[i] = x[index[i]]; x [n, h], index int32 [m], y [m, h].
void gather_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y);

/// y[index[i]] = x[i]; other rows of y [n, h] keep their values. Indices are distinct.
void scatter_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y);

}  // namespace tandem::ops
