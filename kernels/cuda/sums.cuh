// The last step of sums in fp64 whose parts other kernels left in the workspace.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// sum += parts[0] + ... + parts[count - 1], in an order that depends on count alone.
Status launch_add_parts(const double* parts, std::int64_t count, double* sum, StreamHandle stream);

}  // namespace tandem::cuda
