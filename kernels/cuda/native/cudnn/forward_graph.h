// The forward pass as cuDNN's graph: packed samples by ragged offsets and lengths, causal, as many key/value heads as divide the heads.
#pragma once

#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include <cudnn_frontend.h>

#include "kernels/cuda/attention_library.cuh"

namespace tandem::cuda::cudnn {

static_assert(CUDNN_VERSION >= 91801, "cuDNN 9.18.1 or newer is needed");
/// The first that takes packed samples below sm_90.
inline constexpr std::size_t kOldestCudnn = 91801;

/// By which the graph's operands are named when it is run.
enum Operand : std::int64_t { kQ = 1, kK, kV, kO, kLse, kQLengths, kKLengths, kQOffsets, kKOffsets, kVOffsets, kOOffsets, kLseOffsets };

/// Not validated yet. `architecture`: 90 for sm_90.
[[nodiscard]] std::shared_ptr<cudnn_frontend::graph::Graph> forward_graph(const AttentionPlan& plan, int architecture);

}  // namespace tandem::cuda::cudnn
