// Four-bit matrices to numbers.
#pragma once

#include "kernels/base/backend.h"
#include "kernels/ops/four_bit_matrix.h"

namespace tandem::ops {

/// y [rows, columns] = w: value * scale in fp32, rounded once to y's type (floating-point, may be row-strided). The bits of bitsandbytes'
/// dequantize_4bit.
void dequantize(Context&, const FourBitMatrix& w, const Tensor& y);

}  // namespace tandem::ops
