// Kernels with one fault each, and kernels that are right, for the tests of the emulator itself.
#pragma once

#include <span>

#include "kernels/cuda/handles.h"

namespace tandem::emulator::test {

/// What the kernels get: ints of the device that hold their index, others that nobody wrote, and the host's.
inline constexpr int kInts = 256;
struct Ints {
    int *data, *fresh, *host;
};

struct Planted {
    const char* name;
    void (*kernel)(Ints);
    unsigned blocks, threads;
    std::size_t shared_bytes;
    const char* message;  ///< a part of what must be reported
};
std::span<const Planted> planted_in_memory();
std::span<const Planted> planted_in_order();
cuda::Status launch_planted(const Planted& one, const Ints& ints, cuda::StreamHandle stream);

/// Needs more local memory than a thread has.
cuda::Status launch_huge_frame(const Ints& ints, cuda::StreamHandle stream);
/// Reads device memory on the host, in a kernel's file.
int read_on_host(const int* data);

}  // namespace tandem::emulator::test
