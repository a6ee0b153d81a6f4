#include "kernels/cuda/runtime.h"

#include <cstring>

#include "kernels/cuda/native/toolkit.h"

namespace tandem::cuda {

namespace {

/// A failure that CUDA can forget is forgotten: the next check would report it again.
Status status(cudaError_t code) {
    if (code != cudaSuccess) cudaGetLastError();
    return {static_cast<int>(code)};
}

cudaMemcpyKind kind(Direction direction) {
    switch (direction) {
        case Direction::HostToDevice: return cudaMemcpyHostToDevice;
        case Direction::DeviceToHost: return cudaMemcpyDeviceToHost;
        default: return cudaMemcpyDeviceToDevice;
    }
}

/// Whether a copy from there may still be read when its call has returned: what is not pinned is copied aside at once, except by GPUs that
/// read all of the host's memory by themselves (ATS, HMM), which may come for it in the stream's order.
bool is_read_later(const void* source) {
    int device = 0, reads_everything = 0;
    cudaPointerAttributes attributes{};
    if (cudaGetDevice(&device) != cudaSuccess) return true;
    if (cudaDeviceGetAttribute(&reads_everything, cudaDevAttrPageableMemoryAccess, device) != cudaSuccess) return true;
    if (reads_everything == 0) return false;
    return cudaPointerGetAttributes(&attributes, source) != cudaSuccess || attributes.type == cudaMemoryTypeUnregistered;
}

StatusText describe_library(Status status) {
    const auto code = static_cast<cublasStatus_t>(-status.code);
    return {cublasLtGetStatusName(code), cublasLtGetStatusString(code),
            code == CUBLAS_STATUS_ALLOC_FAILED ? StatusKind::OutOfMemory : StatusKind::Other};
}

}  // namespace

Status allocate(std::size_t bytes, void** base) { return status(cudaMalloc(base, bytes)); }
Status release(void* base) { return status(cudaFree(base)); }

Status allocate_pinned(std::size_t bytes, void** base) {
    const Status made = status(cudaHostAlloc(base, bytes, cudaHostAllocDefault));
    if (made.ok()) std::memset(*base, 0, bytes);
    return made;
}
Status release_pinned(void* base) { return status(cudaFreeHost(base)); }
Status memory_info(std::size_t* free, std::size_t* total) { return status(cudaMemGetInfo(free, total)); }

// CUDA bounds strides to 2 GiB, so what is packed on both sides goes as one piece of any length.
Status copy(const RowsCopy& what, Direction direction, NativeStream stream) {
    const bool packed = what.to_stride == what.row && what.from_stride == what.row;
    const Status enqueued = status(
        packed ? cudaMemcpyAsync(what.to, what.from, what.rows * what.row, kind(direction), stream)
               : cudaMemcpy2DAsync(what.to, what.to_stride, what.from, what.from_stride, what.row, what.rows, kind(direction), stream));
    return enqueued.ok() && direction == Direction::HostToDevice && is_read_later(what.from) ? synchronize_stream(stream) : enqueued;
}

Status fill_zero(void* base, std::size_t stride, std::size_t row, std::size_t rows, NativeStream stream) {
    if (stride == row) return status(cudaMemsetAsync(base, 0, rows * row, stream));
    return status(cudaMemset2DAsync(base, stride, 0, row, rows, stream));
}

// A stream that does not wait for the default stream, nor that for it; events without times, which would cost a wait.
Status make_stream(NativeStream* stream) { return status(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking)); }
Status destroy_stream(NativeStream stream) { return status(cudaStreamDestroy(stream)); }
Status synchronize_stream(NativeStream stream) { return status(cudaStreamSynchronize(stream)); }
Status make_event(EventHandle* event) { return status(cudaEventCreateWithFlags(event, cudaEventDisableTiming)); }
Status destroy_event(EventHandle event) { return status(cudaEventDestroy(event)); }
Status record_event(EventHandle event, NativeStream stream) { return status(cudaEventRecord(event, stream)); }
Status wait_event(NativeStream stream, EventHandle event) { return status(cudaStreamWaitEvent(stream, event, 0)); }
Status synchronize_event(EventHandle event) { return status(cudaEventSynchronize(event)); }

Status query_event(EventHandle event, bool* done) {
    const cudaError_t code = cudaEventQuery(event);
    *done = code == cudaSuccess;
    if (code != cudaErrorNotReady) return status(code);
    cudaGetLastError();  // not a failure, but remembered as one
    return {};
}

StatusText describe(Status status) {
    if (status.code < 0) return describe_library(status);
    const auto code = static_cast<cudaError_t>(status.code);
    const auto text = [&](StatusKind kind) { return StatusText{cudaGetErrorName(code), cudaGetErrorString(code), kind}; };
    switch (code) {
        case cudaErrorDevicesUnavailable:
            return {cudaGetErrorName(code),
                    "the GPU is busy or unavailable: another program may have it for itself (nvidia-smi -q -d COMPUTE)", StatusKind::Other};
        case cudaErrorECCUncorrectable:
            return {cudaGetErrorName(code),
                    "the GPU's memory failed: an uncorrectable ECC error (nvidia-smi -q -d ECC, and the kernel's log)", StatusKind::Other};
        case cudaErrorMemoryAllocation: return text(StatusKind::OutOfMemory);
        case cudaErrorIllegalAddress:
        case cudaErrorMisalignedAddress:
        case cudaErrorIllegalInstruction:
        case cudaErrorLaunchFailure:
        case cudaErrorAssert:
        case cudaErrorHardwareStackError:
        case cudaErrorInvalidAddressSpace:
        case cudaErrorInvalidPc:
        case cudaErrorLaunchTimeout: return text(StatusKind::EarlierWork);
        default: return text(StatusKind::Other);
    }
}

}  // namespace tandem::cuda
