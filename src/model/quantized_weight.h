// Weights in four-bit blocks: their memory, where their contents come from, and the matrices they stand for.
#pragma once

#include "kernels/base/arena.h"
#include "kernels/base/context.h"
#include "parallel/param_table.h"
#include "src/model/quantization.h"
#include "src/model/tensor_group.h"
#include "src/model/weights.h"

namespace tandem {

/// Memory for the blocks of `p.quantized`: codes are MemoryKind::Weights, scales MemoryKind::Quantization. Contents are undefined.
void allocate_blocks(DeviceMemory& memory, const QuantizationSpec& spec, Parameter& p);

/// Fills the blocks of this rank's box from the source's blocks, or from its values, which are quantised on the way through bounded
/// staging (a few MiB of fp32, and the scales of the whole matrix). Every element has the code and scale that it has in the unsplit matrix.
/// Where values are quantised, collective over the tensor-parallel ranks: with double quantisation scales depend on the whole matrix, of
/// which each rank reads its part. `compute`: what they are dequantised into; a block whose values it does not hold is an Input error.
void fill_blocks(Context&, const TensorGroup& group, const Parameter& p, const WeightSource& source, DType compute);

/// The matrix of a weight in `dtype`: as it is, or dequantised into workspace that the caller's scope gives back.
[[nodiscard]] Tensor dense(Context&, const Parameter& p, DType dtype);

}  // namespace tandem
