// Every return code of a device goes through here.
#pragma once

#include <initializer_list>
#include <source_location>
#include <string>
#include <string_view>

#include "kernels/base/tensor.h"
#include "kernels/cuda/handles.h"

namespace tandem::cuda {

/// Throws Run, naming what was done, with which operands (type and shape), what CUDA says, and where in the source. A failure of
/// an earlier kernel may be reported by a later call: the message says so where CUDA's error is of that kind.
void check(Status status, std::string_view what, std::initializer_list<Tensor> operands = {},
           std::source_location where = std::source_location::current());

/// For destructors: one line on stderr where `status` is a failure.
void report(Status status, const char* what) noexcept;

/// " of fp32 [3, 5], bf16 [7] (rows 9 apart)"
[[nodiscard]] std::string list(std::initializer_list<Tensor> operands);
/// "kernels/cuda/matmul.cpp:31", without the directories that depend on who compiled.
[[nodiscard]] std::string place(const std::source_location& where);

}  // namespace tandem::cuda
