#include "tests/kernels/candidates.h"
#include "tests/kernels/cuda_device.h"

namespace tandem::test {

std::vector<Candidate> candidates() {
    return {{"cuda", [] { return make_cuda(); }, {DType::F32, DType::BF16, DType::F16}, why_no_cuda},
            {"cuda_cudnn",
             [] { return make_cuda({.attention = AttentionKernels::Cudnn}); },
             {DType::BF16, DType::F16},
             why_no_cudnn,
             "attention"}};
}

}  // namespace tandem::test
