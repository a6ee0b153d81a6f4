// Kernels of kernels/ops/cross_entropy.h. Each enqueues its work and returns what the launch reports. A label that the op does not allow
// ends the launch, and with it the use of the device: only the device can see it.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// Logits [rows, columns] in fp32 with a label a row.
struct LabelledLogits {
    Extent extent;
    Rows logits;
    const std::int32_t* labels;
};

/// losses [rows]: of each row. dlogits: not written where it has no data.
Status launch_cross_entropy(const LabelledLogits& in, double* losses, const Rows& dlogits, StreamHandle stream);

/// statistics [rows, 3]; label -1: elsewhere.
Status launch_cross_entropy_statistics(const LabelledLogits& in, float* statistics, StreamHandle stream);

/// From statistics [ranks, rows, 3]. losses may be null.
Status launch_cross_entropy_from_statistics(const LabelledLogits& in, const float* statistics, std::int64_t ranks, double* losses,
                                            const Rows& dlogits, StreamHandle stream);

}  // namespace tandem::cuda
