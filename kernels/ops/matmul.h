// c = alpha a b (+ c), c = a b + bias
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// c [m, n] = alpha * a [m, k] * b [k, n], or c += ... with Write::Accumulate. Sums in fp32 (fp64 for fp64).
/// a and b have one type; c has that type or its accumulation type. All three may be row-strided; c aliases neither.
/// Flops: 2 m n k. Bytes: each operand once.
void matmul(Context&, const Operand& a, const Operand& b, const Tensor& c, double alpha = 1.0, Write write = Write::Overwrite);

/// c [m, n] = a [m, k] * b [k, n] + bias [n] in every row: summed as in matmul() and rounded once. a, b, bias and c have one type; bias is
/// contiguous; c aliases none of them.
/// Flops: 2 m n k + m n. Bytes: each operand once.
void matmul_bias(Context&, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c);

inline void matmul(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& c, double alpha = 1.0, Write write = Write::Overwrite) {
    matmul(ctx, Operand{a}, Operand{b}, c, alpha, write);
}

}  // namespace tandem::ops
