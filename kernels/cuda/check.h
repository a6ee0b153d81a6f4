// Every return code of a device goes through here.
#pragma once

#include <initializer_list>
#include <source_location>
#include <span>
#include <string>
#include <string_view>

#include "kernels/base/tensor.h"
#include "kernels/cuda/handles.h"

namespace tandem::cuda {

/// Throws what fail_with() says where `status` is a failure. Where the call is held back (queue.h), the words are left there for a failure
/// that comes when it is enqueued.
void check(Status status, std::string_view what, std::initializer_list<Tensor> operands = {},
           std::source_location where = std::source_location::current());

/// Throws Run, or OutOfMemory where CUDA says so, naming what was done, with which operands (type and shape), what CUDA says, and where in
/// the source. A failure of an earlier kernel may be reported by a later call: the message says so where CUDA's error is of that kind.
[[noreturn]] void fail_with(Status status, std::string_view what, std::span<const Tensor> operands = {},
                            const std::source_location& where = std::source_location::current());

/// For destructors: one line on stderr where `status` is a failure. None while an exception is on its way, whose message is the job's: a
/// device that is lost fails every call from then on.
void report(Status status, const char* what) noexcept;
void report(const Error& error, const char* what) noexcept;

/// " of fp32 [3, 5], bf16 [7] (rows 9 apart)"
[[nodiscard]] std::string list(std::span<const Tensor> operands);
/// "kernels/cuda/matmul.cpp:31", without the directories that depend on who compiled.
[[nodiscard]] std::string place(const std::source_location& where);

}  // namespace tandem::cuda
