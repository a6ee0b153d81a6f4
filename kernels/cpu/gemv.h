// Products with a handful of rows, as generation makes them: bound by reading the weight matrix once.
#pragma once

#include "kernels/ops/types.h"

namespace tandem::cpu {

/// Whether a b is such a product: few rows of a, b = W^T with W [n, k] stored by rows.
[[nodiscard]] bool gemv_applies(const Operand& a, const Operand& b);

/// c [m, n] = alpha x W^T (+ c); x [m, k], W [n, k] of one 16- or 32-bit type.
void gemv(int threads, const Tensor& x, const Tensor& w, const Tensor& c, double alpha, Write write);

}  // namespace tandem::cpu
