// What the two halves of the cuda backend pass to each other without seeing CUDA's headers: host files know tandem's types, kernel
// files know threads, and both are compiled a second time for the emulator (tests/support/emulator/), where there is no CUDA.
#pragma once

struct CUstream_st;
struct CUevent_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUgraphNode_st;

namespace tandem::cuda {

class Queue;

/// CUDA's own types, by their opaque names.
using NativeStream = CUstream_st*;
using EventHandle = CUevent_st*;
using GraphHandle = CUgraph_st*;
using GraphExecHandle = CUgraphExec_st*;
using GraphNodeHandle = CUgraphNode_st*;

/// A stream as ops and launches take it: it may hold calls back for a while (queue.h).
using StreamHandle = Queue*;

/// A cudaError_t, or below 0 what a library of CUDA's returns; 0 is success. check() in kernels/cuda/check.h turns it into an Error with
/// the op's operands.
struct [[nodiscard]] Status {
    int code = 0;
    Queue* held_back = nullptr;  ///< where the call waits to be enqueued; check() leaves its words there for a failure that comes then
    [[nodiscard]] bool ok() const { return code == 0; }
};

}  // namespace tandem::cuda
