// Return codes of CUDA's libraries.
#pragma once

#include "kernels/cuda/check.h"
#include "kernels/cuda/native/toolkit.h"

namespace tandem::cuda {

/// As a Status: below 0, so that describe() tells it from CUDA's own.
inline Status status_of(cublasStatus_t code) { return {-static_cast<int>(code)}; }

/// As check() of a Status.
inline void check(cublasStatus_t code, std::string_view what, std::initializer_list<Tensor> operands = {},
                  std::source_location where = std::source_location::current()) {
    check(status_of(code), what, operands, where);
}
inline void check(cudaError_t code, std::string_view what, std::initializer_list<Tensor> operands = {},
                  std::source_location where = std::source_location::current()) {
    check(Status{static_cast<int>(code)}, what, operands, where);
}

}  // namespace tandem::cuda
