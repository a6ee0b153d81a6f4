// What the two halves of the cuda backend pass to each other without seeing CUDA's headers: host files know tandem's types, kernel
// files know threads, and both are compiled a second time for the emulator (tests/support/emulator), where there is no CUDA.
#pragma once

struct CUstream_st;
struct CUevent_st;

namespace tandem::cuda {

/// CUDA's own types, by their opaque names.
using StreamHandle = CUstream_st*;
using EventHandle = CUevent_st*;

/// A cudaError_t; 0 is success. check() in kernels/cuda/check.h turns it into an Error with the op's operands.
struct [[nodiscard]] Status {
    int code = 0;
    [[nodiscard]] bool ok() const { return code == 0; }
};

}  // namespace tandem::cuda
