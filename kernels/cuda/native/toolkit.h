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

}  // namespace tandem::cuda
