#include "tests/kernels/candidates.h"
#include "tests/kernels/cuda_device.h"

namespace tandem::test {

std::vector<Candidate> candidates() { return {{"cuda", make_cuda, {DType::F32, DType::BF16, DType::F16}, why_no_cuda}}; }

}  // namespace tandem::test
