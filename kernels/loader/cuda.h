// Where the CUDA part of tandem is, and what keeps it from being used: one message for each cause, with what to do about it.
#pragma once

#include "kernels/loader/plugin.h"

namespace tandem {

/// The files that a process needs in order to use an NVIDIA GPU.
struct CudaFiles {
    std::filesystem::path part = program_directory() / "libtandem_cuda.so";  ///< compiled with TANDEM_CUDA=on
    std::string driver = "libcuda.so.1";                                     ///< comes with NVIDIA's driver
};

/// Opens the CUDA part. Throws Configuration where it is not built (with the step that builds it), where the driver's library is
/// missing, where one of CUDA's libraries is missing, and as open_plugin does.
[[nodiscard]] const BackendPlugin& open_cuda(const CudaFiles& files = {});

/// A GPU as a device; as open_cuda, and Configuration where there is no GPU of this number, it is too old, or the options ask for what
/// cannot be had.
[[nodiscard]] std::unique_ptr<Backend> make_cuda_backend(int device, const DeviceOptions& options = {}, const CudaFiles& files = {});

}  // namespace tandem
