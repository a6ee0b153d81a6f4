// Every return code of CUDA and cuBLASLt goes through here.
#pragma once

#include <initializer_list>
#include <source_location>
#include <string_view>

#include "kernels/base/tensor.h"
#include "kernels/cuda/toolkit.h"

namespace tandem::cuda {

/// Throws Run, naming what was done, with which operands (type and shape), what CUDA says, and where in the source. A failure of
/// an earlier kernel may be reported by a later call: the message says so where CUDA's error is of that kind.
void check(cudaError_t code, std::string_view what, std::initializer_list<Tensor> operands = {},
           std::source_location where = std::source_location::current());
void check(cublasStatus_t code, std::string_view what, std::initializer_list<Tensor> operands = {},
           std::source_location where = std::source_location::current());

/// For destructors: one line on stderr where `code` is a failure.
void report(cudaError_t code, const char* what) noexcept;

}  // namespace tandem::cuda
