#include "kernels/cuda/stream.h"

#include "kernels/cuda/check.h"
#include "kernels/cuda/runtime.h"

namespace tandem::cuda {

namespace {

EventHandle native(const Event& event) {
    const auto* own = dynamic_cast<const CudaEvent*>(&event);
    require(own != nullptr, "an event of another backend was given to the cuda backend");
    return own->handle();
}

}  // namespace

StreamHandle native(const Stream& stream) {
    const auto* own = dynamic_cast<const CudaStream*>(&stream);
    require(own != nullptr, "a stream of another backend was given to the cuda backend");
    return own->handle();
}

CudaEvent::CudaEvent() { check(make_event(&event_), "making an event"); }
CudaEvent::~CudaEvent() { report(destroy_event(event_), "giving back an event"); }

bool CudaEvent::done() const {
    bool done = false;
    check(query_event(event_, &done), "asking whether work on the GPU is done");
    return done;
}

void CudaEvent::synchronize() const { check(synchronize_event(event_), "waiting for work on the GPU"); }

CudaStream::CudaStream() { check(make_stream(&stream_), "making a stream"); }
CudaStream::~CudaStream() { report(destroy_stream(stream_), "giving back a stream"); }

void CudaStream::record(Event& event) { check(record_event(native(event), stream_), "recording an event"); }
void CudaStream::wait(const Event& event) { check(wait_event(stream_, native(event)), "waiting for an event"); }
void CudaStream::synchronize() { check(synchronize_stream(stream_), "waiting for the GPU"); }

}  // namespace tandem::cuda
