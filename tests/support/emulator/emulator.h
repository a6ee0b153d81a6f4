// A stand-in for a GPU in tests: the same kernel sources, compiled by the host's compiler, with the threads of a block as fibers.
//
// It sees what a processor with real threads would only sometimes show: accesses outside of allocations and shared memory, reads of what
// nobody wrote, two threads at one address of shared or global memory between the same barriers of which one writes, barriers and warp
// operations that not all threads reach, misaligned accesses, host code that touches device memory. Work on a stream runs as late as
// CUDA allows: when somebody waits for it. It says nothing about speed, registers, or how hardware rounds inside a matrix instruction, and
// it is no substitute for a GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tandem::emulator {

/// The order in which the threads of a block get their turn; results must not depend on it.
enum class Order { Forward, Backward, Shuffled };
void set_order(Order order);

/// What the last failed launch reported; empty if there was none since the last call.
std::string take_fault();

/// Launches that have run in this process.
std::uint64_t launches();

/// Bytes that the device has; more is out of memory. The default is 8 GiB.
void set_memory(std::size_t bytes);

}  // namespace tandem::emulator
