#include "kernels/loader/cuda.h"

#include <cstdlib>

namespace tandem {

const BackendPlugin& open_cuda(const CudaFiles& files) {
    std::error_code ignored;
    if (!std::filesystem::exists(files.part, ignored)) {
        fail(Failure::Configuration,
             "the CUDA part of tandem is not built: there is no {}; with CUDA's toolkit (nvcc, 12.4 or newer) on the PATH, build it with "
             "CMAKE_ARGS=-DTANDEM_CUDA=on launch/build (docs/gpu.md)",
             files.part.string());
    }
    // The CUDA part finds the driver by itself, and without it would report an error number that names no library.
    if (const auto reason = missing_library(files.driver)) {
        fail(Failure::Configuration,
             "no NVIDIA driver: {} is missing ({}); install the driver, run on a machine that has one, or, in a container, have the GPU "
             "passed in; a library in an unusual place is found through LD_LIBRARY_PATH",
             files.driver, *reason);
    }
    if (const auto reason = missing_library(files.part)) {
        fail(Failure::Configuration,
             "the CUDA part of tandem cannot be opened: {}; where that names a library of CUDA, install CUDA's libraries of that version, "
             "or "
             "put the directory that has it into LD_LIBRARY_PATH (launch/gpu-check looks in the usual places)",
             *reason);
    }
    // A run has more streams than the eight ways to a GPU that CUDA opens by itself, and streams that share one wait for each other: two
    // neighbours in a pipeline could wait for ever. What a user has set stays.
    if (setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0) != 0) fail(Failure::Run, "CUDA_DEVICE_MAX_CONNECTIONS cannot be set");
    return open_plugin(files.part);
}

std::unique_ptr<Backend> make_cuda_backend(int device, const DeviceOptions& options, const CudaFiles& files) {
    return open_cuda(files).make(device, options);
}

}  // namespace tandem
