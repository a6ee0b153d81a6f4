// Graphs of a device: calls on a stream that are recorded once and enqueued again as one. Implemented by CUDA in kernels/cuda/native/, and
// by the emulator in tests/support/emulator/. Functions return CUDA's error codes.
#pragma once

#include "kernels/cuda/launch.cuh"

namespace tandem::cuda {

/// What this thread enqueues on `stream` from here on is recorded instead. Nothing may wait for the stream meanwhile.
Status begin_capture(NativeStream stream);
/// The node of the call that was recorded last.
Status newest_node(NativeStream stream, GraphNodeHandle* node);
/// Ends what begin_capture() began, also where a call between them failed: that is reported again, and there is no graph.
Status end_capture(NativeStream stream, GraphHandle* graph);

/// `graph` as the device runs it; must live as long, for its nodes' sake.
Status instantiate(GraphHandle graph, GraphExecHandle* exec);
/// Launches of `exec` that are enqueued from here on run the kernel of `node`, a node of its graph, with this grid and these arguments,
/// which are copied. Kernel, threads and shared memory are those that were recorded.
Status change_kernel(GraphExecHandle exec, GraphNodeHandle node, const Launch& how, const KernelCall& call);
Status launch_graph(GraphExecHandle exec, NativeStream stream);

/// Launches that are under way go on.
Status destroy_exec(GraphExecHandle exec);
Status destroy_graph(GraphHandle graph);

}  // namespace tandem::cuda
