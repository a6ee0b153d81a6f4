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

StreamHandle queue(Stream& stream) {
    auto* own = dynamic_cast<CudaStream*>(&stream);
    require(own != nullptr, "a stream of another backend was given to the cuda backend");
    return &own->queue();
}

NativeStream native(Stream& stream) { return queue(stream)->flushed(); }

CudaEvent::CudaEvent() { check(make_event(&event_), "making an event"); }
CudaEvent::~CudaEvent() { report(destroy_event(event_), "giving back an event"); }

bool CudaEvent::done() const {
    bool done = false;
    check(query_event(event_, &done), "asking whether work on the GPU is done");
    return done;
}

void CudaEvent::synchronize() const { check(synchronize_event(event_), "waiting for work on the GPU"); }

CudaStream::CudaStream(Graphs* graphs)
    : stream_([] {
          NativeStream made = nullptr;
          check(make_stream(&made), "making a stream");
          return made;
      }()),
      queue_(stream_, graphs) {}

CudaStream::~CudaStream() {
    try {
        queue_.flush();
    } catch (const Error& error) {
        report(error, "giving back a stream");
    }
    report(destroy_stream(stream_), "giving back a stream");
}

void CudaStream::record(Event& event) { check(record_event(native(event), queue_.flushed()), "recording an event"); }
void CudaStream::wait(const Event& event) { check(wait_event(queue_.flushed(), native(event)), "waiting for an event"); }
void CudaStream::synchronize() { check(synchronize_stream(queue_.flushed()), "waiting for the GPU"); }

}  // namespace tandem::cuda
