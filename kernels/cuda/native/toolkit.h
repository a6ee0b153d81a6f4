// The toolkit this is compiled with. What differs between its versions is told apart here and nowhere else.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#if CUDART_VERSION < 12040
#error "tandem needs CUDA 12.4 or newer; point CMAKE_CUDA_COMPILER at the nvcc of a newer toolkit, or set TANDEM_CUDA=off"
#endif

#include <string>

namespace tandem::cuda {

/// "13.0" from CUDA's 13000.
inline std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

/// "13.1.0" from cuBLASLt's 130100.
inline std::string cublaslt_text(std::size_t version) {
    return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
}

/// What the next call on a stream that is recorded would wait for. Kernels of libraries may be joined by edges with data, which the older
/// forms of this question cannot report.
inline cudaError_t newest_nodes(cudaStream_t stream, const cudaGraphNode_t** nodes, std::size_t* count) {
    cudaStreamCaptureStatus state = cudaStreamCaptureStatusNone;
    const cudaGraphEdgeData* edges = nullptr;
#if CUDART_VERSION >= 13000
    return cudaStreamGetCaptureInfo(stream, &state, nullptr, nullptr, nodes, &edges, count);
#else
    return cudaStreamGetCaptureInfo_v3(stream, &state, nullptr, nullptr, nodes, &edges, count);
#endif
}

}  // namespace tandem::cuda
