// The GPU that tests of the CUDA part run on, or why there is none.
#pragma once

#include <memory>
#include <string>

#include "kernels/base/backend.h"

namespace tandem::test {

/// Empty where GPU 0 can be used; else "no GPU to test on: ..." (the words that ctest reports as skipped). Found out once.
std::string why_no_cuda();
/// GPU 0.
std::unique_ptr<Backend> make_cuda();

}  // namespace tandem::test
