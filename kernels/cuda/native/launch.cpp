#include <unordered_map>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/native/toolkit.h"

namespace tandem::cuda {

namespace {

constexpr std::size_t kOrdinaryShared = 48 * 1024;  ///< bytes of shared memory that a kernel gets without asking

}  // namespace

Status enqueue_now(const Launch& how, const KernelCall& call, NativeStream stream) {
    static std::unordered_map<const void*, std::size_t> granted;  // one thread drives the device of a process
    cudaError_t code = cudaSuccess;
    if (how.shared_bytes > kOrdinaryShared && how.shared_bytes > granted[call.kernel]) {
        code = cudaFuncSetAttribute(call.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(how.shared_bytes));
        if (code == cudaSuccess) granted[call.kernel] = how.shared_bytes;
    }
    if (code == cudaSuccess) {
        code = cudaLaunchKernel(call.kernel, dim3(how.grid.x, how.grid.y, how.grid.z), dim3(how.threads), call.arguments, how.shared_bytes,
                                stream);
    }
    if (code != cudaSuccess) cudaGetLastError();
    return {static_cast<int>(code)};
}

}  // namespace tandem::cuda
