// Order of work on a GPU. Ops return when their work is in the stream's queue.
#pragma once

#include "kernels/base/stream.h"
#include "kernels/cuda/handles.h"

namespace tandem::cuda {

/// A mark in a stream; without times, which would cost a wait.
class CudaEvent final : public Event {
public:
    CudaEvent();
    ~CudaEvent() override;
    CudaEvent(const CudaEvent&) = delete;
    CudaEvent& operator=(const CudaEvent&) = delete;

    [[nodiscard]] bool done() const override;
    void synchronize() const override;
    [[nodiscard]] EventHandle handle() const { return event_; }

private:
    EventHandle event_ = nullptr;
};

/// Does not wait for the default stream, nor that for it.
class CudaStream final : public Stream {
public:
    CudaStream();
    ~CudaStream() override;
    CudaStream(const CudaStream&) = delete;
    CudaStream& operator=(const CudaStream&) = delete;

    void record(Event& event) override;
    void wait(const Event& event) override;
    void synchronize() override;
    [[nodiscard]] StreamHandle handle() const { return stream_; }

private:
    StreamHandle stream_ = nullptr;
};

/// The device's own stream. Throws Run for a stream of another backend.
[[nodiscard]] StreamHandle native(const Stream& stream);

}  // namespace tandem::cuda
