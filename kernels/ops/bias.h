// y = y + b for every row, and its gradient.
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// y [n, columns] += bias [columns]; one type.
void bias_add(Context&, const Tensor& bias, const Tensor& y);

/// dbias [columns] += column sums of dy [n, columns]; dbias in the accumulation type of dy.
void bias_backward(Context&, const Tensor& dy, const Tensor& dbias);

}  // namespace tandem::ops
