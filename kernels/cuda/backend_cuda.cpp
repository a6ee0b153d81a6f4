#include "kernels/cuda/backend_cuda.h"

#include <algorithm>

#include "kernels/cuda/check.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/lt_matmul.h"
#include "kernels/cuda/stream.h"
#include "kernels/cuda/transfer.h"

namespace tandem {

CudaBackend::CudaBackend(int device) : device_(device) {
    cuda::select_device(device);
    matmul_ = std::make_unique<cuda::LtMatmul>();
}

CudaBackend::~CudaBackend() = default;

std::string CudaBackend::description() const {
    const DeviceFacts facts = cuda::describe_device(device_);
    return fmt::format("{} ({}, {:.1f} GiB), {}", facts.name, facts.architecture, static_cast<double>(facts.memory) / 0x1p30,
                       cuda::found_versions());
}

void* CudaBackend::reserve(std::size_t bytes) {
    void* base = nullptr;
    const cudaError_t code = cudaMalloc(&base, std::max<std::size_t>(bytes, 1));  // an empty arena still has an address
    if (code != cudaErrorMemoryAllocation) {
        cuda::check(code, fmt::format("reserving {} bytes", bytes));
        return base;
    }
    cudaGetLastError();  // an allocation that was refused leaves the device usable
    std::size_t free = 0, total = 0;
    cuda::check(cudaMemGetInfo(&free, &total), "asking for free memory");
    fail(Failure::OutOfMemory, "out of memory: {} bytes of memory of GPU {} are needed, {} of its {} bytes are free", bytes, device_, free,
         total);
}

void CudaBackend::unreserve(void* base, std::size_t /*bytes*/) noexcept { cuda::report(cudaFree(base), "cudaFree"); }

std::unique_ptr<Stream> CudaBackend::make_stream() { return std::make_unique<cuda::CudaStream>(); }
std::unique_ptr<Event> CudaBackend::make_event() { return std::make_unique<cuda::CudaEvent>(); }

void CudaBackend::copy_from_host(Stream& stream, const void* source, const Tensor& target) {
    if (target.elements() == 0) return;
    const cuda::Bytes to(target);
    const cuda::Bytes from(const_cast<void*>(source), to);  // Bytes serves both directions; a source is only read
    cuda::check(cuda::copy(to, from, cudaMemcpyHostToDevice, cuda::native(stream)), "copy from the host", {target});
}

void CudaBackend::copy_to_host(Stream& stream, const Tensor& source, void* target) {
    if (source.elements() == 0) return;
    const cuda::Bytes from(source);
    cuda::check(cuda::copy(cuda::Bytes(target, from), from, cudaMemcpyDeviceToHost, cuda::native(stream)), "copy to the host", {source});
}

}  // namespace tandem
