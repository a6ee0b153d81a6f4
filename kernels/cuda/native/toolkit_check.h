// Return codes of CUDA's libraries.
#pragma once

#include "kernels/cuda/check.h"
#include "kernels/cuda/native/toolkit.h"

namespace tandem::cuda {

/// As check() of a Status.
void check(cublasStatus_t code, std::string_view what, std::initializer_list<Tensor> operands = {},
           std::source_location where = std::source_location::current());

inline void check(cudaError_t code, std::string_view what, std::initializer_list<Tensor> operands = {},
                  std::source_location where = std::source_location::current()) {
    check(Status{static_cast<int>(code)}, what, operands, where);
}

}  // namespace tandem::cuda
