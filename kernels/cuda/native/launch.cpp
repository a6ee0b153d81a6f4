#include <unordered_set>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/native/toolkit.h"

namespace tandem::cuda {

namespace {

constexpr std::size_t kOrdinaryShared = 48 * 1024;  ///< bytes of shared memory that a kernel gets without asking

}  // namespace

Status enqueue_now(const Launch& how, const KernelCall& call, NativeStream stream) {
    if (how.shared_bytes > kOrdinaryShared) {
        static std::unordered_set<const void*> asked;  // one thread drives the device of a process
        if (asked.insert(call.kernel).second) {
            const cudaError_t code =
                cudaFuncSetAttribute(call.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(how.shared_bytes));
            if (code != cudaSuccess) return {static_cast<int>(code)};
        }
    }
    const cudaError_t code = cudaLaunchKernel(call.kernel, dim3(how.grid.x, how.grid.y, how.grid.z), dim3(how.threads), call.arguments,
                                              how.shared_bytes, stream);
    if (code != cudaSuccess) cudaGetLastError();
    return {static_cast<int>(code)};
}

}  // namespace tandem::cuda
