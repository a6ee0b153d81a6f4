#include "kernels/cuda/graph.h"

#include "kernels/cuda/native/toolkit.h"

namespace tandem::cuda {

namespace {

/// A failure that CUDA can forget is forgotten: the next check would report it again.
Status status(cudaError_t code) {
    if (code != cudaSuccess) cudaGetLastError();
    return {static_cast<int>(code)};
}

}  // namespace

// Other threads of the process (NCCL's, MPI's) may do what they like meanwhile.
Status begin_capture(NativeStream stream) { return status(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal)); }

Status newest_node(NativeStream stream, GraphNodeHandle* node) {
    *node = nullptr;
    const cudaGraphNode_t* newest = nullptr;
    std::size_t count = 0;
    if (const Status asked = status(newest_nodes(stream, &newest, &count)); !asked.ok()) return asked;
    // On one stream every call waits for the one before it, so that the next would wait for exactly one.
    if (count != 1) return {cudaErrorStreamCaptureUnmatched};
    *node = *newest;
    return {};
}

Status end_capture(NativeStream stream, GraphHandle* graph) {
    *graph = nullptr;
    return status(cudaStreamEndCapture(stream, graph));
}

Status instantiate(GraphHandle graph, GraphExecHandle* exec) {
    *exec = nullptr;
    return status(cudaGraphInstantiate(exec, graph, 0));
}

Status change_kernel(GraphExecHandle exec, GraphNodeHandle node, const Launch& how, const KernelCall& call) {
    cudaKernelNodeParams parameters{};
    parameters.func = const_cast<void*>(call.kernel);
    parameters.gridDim = dim3(how.grid.x, how.grid.y, how.grid.z);
    parameters.blockDim = dim3(how.threads);
    parameters.sharedMemBytes = static_cast<unsigned>(how.shared_bytes);
    parameters.kernelParams = call.arguments;
    return status(cudaGraphExecKernelNodeSetParams(exec, node, &parameters));
}

Status launch_graph(GraphExecHandle exec, NativeStream stream) { return status(cudaGraphLaunch(exec, stream)); }
Status destroy_exec(GraphExecHandle exec) { return status(cudaGraphExecDestroy(exec)); }
Status destroy_graph(GraphHandle graph) { return status(cudaGraphDestroy(graph)); }

}  // namespace tandem::cuda
