// The GPU that tests of the CUDA part run on, or why there is none.
#pragma once

#include <memory>
#include <string>

#include "kernels/base/plugin.h"

namespace tandem::test {

/// Empty where GPU 0 can be used; else "no GPU to test on: ..." (the words that ctest reports as skipped). Found out once.
std::string why_no_cuda();
/// The same, and where cuDNN's attention cannot be had.
std::string why_no_cudnn();
/// GPU 0.
std::unique_ptr<Backend> make_cuda(const DeviceOptions& options = {});

}  // namespace tandem::test
