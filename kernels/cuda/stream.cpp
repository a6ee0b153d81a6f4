#include "kernels/cuda/stream.h"

namespace tandem::cuda {

namespace {

cudaEvent_t native(const Event& event) {
    const auto* own = dynamic_cast<const CudaEvent*>(&event);
    require(own != nullptr, "an event of another backend was given to the cuda backend");
    return own->handle();
}

}  // namespace

cudaStream_t native(const Stream& stream) {
    const auto* own = dynamic_cast<const CudaStream*>(&stream);
    require(own != nullptr, "a stream of another backend was given to the cuda backend");
    return own->handle();
}

CudaEvent::CudaEvent() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event"); }
CudaEvent::~CudaEvent() { report(cudaEventDestroy(event_), "cudaEventDestroy"); }

bool CudaEvent::done() const {
    const cudaError_t code = cudaEventQuery(event_);
    if (code == cudaErrorNotReady) {
        cudaGetLastError();  // not a failure, but remembered as one
        return false;
    }
    check(code, "asking whether work on the GPU is done");
    return true;
}

void CudaEvent::synchronize() const { check(cudaEventSynchronize(event_), "waiting for work on the GPU"); }

CudaStream::CudaStream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); }
CudaStream::~CudaStream() { report(cudaStreamDestroy(stream_), "cudaStreamDestroy"); }

void CudaStream::record(Event& event) { check(cudaEventRecord(native(event), stream_), "recording an event"); }
void CudaStream::wait(const Event& event) { check(cudaStreamWaitEvent(stream_, native(event), 0), "waiting for an event"); }
void CudaStream::synchronize() { check(cudaStreamSynchronize(stream_), "waiting for the GPU"); }

}  // namespace tandem::cuda
