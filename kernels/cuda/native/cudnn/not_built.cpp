// In place of cuDNN's attention where its headers were missing when tandem was built.
#include "kernels/base/error.h"
#include "kernels/cuda/attention_library.h"

namespace tandem::cuda {

namespace {

constexpr auto kObstacle =
    "tandem was built without cuDNN: its headers (cudnn.h, 9.18.1 or newer) or those of its frontend (cudnn_frontend.h) were missing; "
    "docs/gpu.md has the step that builds it; device.attention = own needs no cuDNN";

}  // namespace

FoundAttentionLibrary find_attention_library() { return {"", kObstacle}; }

std::unique_ptr<AttentionLibrary> make_attention_library(int /*device*/) { fail(Failure::Configuration, "{}", kObstacle); }

}  // namespace tandem::cuda
