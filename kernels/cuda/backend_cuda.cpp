#include "kernels/cuda/backend_cuda.h"

#include <algorithm>

#include "kernels/cuda/check.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/library_attention.h"
#include "kernels/cuda/matrix_products.h"
#include "kernels/cuda/stream.h"
#include "kernels/cuda/transfer.h"

namespace tandem {

CudaBackend::CudaBackend(int device, const DeviceOptions& options)
    : device_(device), graphs_(options.graphs ? std::make_unique<cuda::Graphs>() : nullptr) {
    cuda::select_device(device);
    products_ = cuda::make_matrix_products();
    if (options.attention == AttentionKernels::Own) return;
    const bool required = options.attention == AttentionKernels::Cudnn;
    try {
        library_attention_ = std::make_unique<cuda::LibraryAttention>(cuda::make_attention_library(device), required);
    } catch (const Error& error) {
        if (error.failure() != Failure::Configuration) throw;
        if (required) fail(Failure::Configuration, "device.attention = cudnn: {}", error.what());
        fmt::print(stderr, "tandem: attention is by own kernels: {}\n", error.what());
    }
}

CudaBackend::~CudaBackend() = default;

std::string CudaBackend::description() const {
    const DeviceFacts facts = cuda::describe_device(device_);
    return fmt::format("{} ({}, {:.1f} GiB), {}{}", facts.name, facts.architecture, static_cast<double>(facts.memory) / 0x1p30,
                       cuda::found_versions(), library_attention_ ? ", attention forward by " + library_attention_->description() : "");
}

std::string CudaBackend::work_summary() const { return graphs_ ? cuda::to_text(graphs_->cache.counters()) : ""; }

void* CudaBackend::reserve(std::size_t bytes) {
    void* base = nullptr;
    const cuda::Status status = cuda::allocate(std::max<std::size_t>(bytes, 1), &base);  // an empty arena still has an address
    if (status.ok()) return base;
    if (cuda::describe(status).kind != cuda::StatusKind::OutOfMemory) cuda::check(status, fmt::format("reserving {} bytes", bytes));
    std::size_t free = 0, total = 0;
    cuda::check(cuda::memory_info(&free, &total), "asking for free memory");
    fail(Failure::OutOfMemory,
         "out of memory: {} bytes of memory of GPU {} are needed, {} of its {} bytes are free; other programs may hold "
         "some (nvidia-smi), and device.memory_limit plans with less",
         bytes, device_, free, total);
}

// Giving memory back waits for the work that may use it, which must have been enqueued before.
void CudaBackend::flush() noexcept {
    if (!graphs_) return;
    try {
        graphs_->flush_all();
    } catch (const Error& error) {
        cuda::report(error, "giving back memory");
    }
}

void CudaBackend::unreserve(void* base, std::size_t /*bytes*/) noexcept {
    flush();
    cuda::report(cuda::release(base), "giving back memory");
}

std::size_t CudaBackend::free_memory() const {
    std::size_t free = 0, total = 0;
    cuda::check(cuda::memory_info(&free, &total), "asking for free memory");
    return free;
}

void* CudaBackend::reserve_host(std::size_t bytes) {
    void* base = nullptr;
    const cuda::Status status = cuda::allocate_pinned(std::max<std::size_t>(bytes, 1), &base);
    if (status.ok()) return base;
    fail(Failure::OutOfMemory,
         "out of memory: {} bytes of pinned host memory for GPU {} are needed, and CUDA says {}; the limit of locked "
         "memory (ulimit -l) may be lower than that",
         bytes, device_, cuda::describe(status).text);
}

void CudaBackend::unreserve_host(void* base, std::size_t /*bytes*/) noexcept {
    cuda::report(cuda::release_pinned(base), "giving back pinned memory");
}

std::unique_ptr<Stream> CudaBackend::make_stream() { return std::make_unique<cuda::CudaStream>(graphs_.get()); }
std::unique_ptr<Event> CudaBackend::make_event() { return std::make_unique<cuda::CudaEvent>(); }

void CudaBackend::copy_from_host(Stream& stream, const void* source, const Tensor& target) {
    if (target.elements() == 0) return;
    const cuda::Bytes to(target);
    const cuda::Bytes from(const_cast<void*>(source), to);  // Bytes serves both directions; a source is only read
    cuda::check(cuda::copy_host(to, from, cuda::Direction::HostToDevice, cuda::queue(stream)), "copy from the host", {target});
}

void CudaBackend::copy_to_host(Stream& stream, const Tensor& source, void* target) {
    if (source.elements() == 0) return;
    const cuda::Bytes from(source);
    cuda::check(cuda::copy_host(cuda::Bytes(target, from), from, cuda::Direction::DeviceToHost, cuda::queue(stream)), "copy to the host",
                {source});
}

}  // namespace tandem
