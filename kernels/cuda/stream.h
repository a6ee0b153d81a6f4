// Order of work on a GPU. Ops return when their work is in the stream's queue.
#pragma once

#include "kernels/base/stream.h"
#include "kernels/cuda/queue.h"

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

/// Does not wait for the default stream, nor that for it. Marks, waits and copies of the host's see everything that was enqueued before.
class CudaStream final : public Stream {
public:
    /// `graphs`: as of Queue; outlives this.
    explicit CudaStream(Graphs* graphs);
    ~CudaStream() override;
    CudaStream(const CudaStream&) = delete;
    CudaStream& operator=(const CudaStream&) = delete;

    void record(Event& event) override;
    void wait(const Event& event) override;
    void synchronize() override;
    void submit() override { queue_.flush(); }
    [[nodiscard]] Queue& queue() { return queue_; }

private:
    NativeStream stream_;
    Queue queue_;
};

/// The stream as ops enqueue on it. Throws Run for a stream of another backend.
[[nodiscard]] StreamHandle queue(Stream& stream);

/// The device's own stream, for what enqueues on it besides: everything that ops enqueued before is on it. Throws as queue() and, for a
/// failure of what was held back, as check() does.
[[nodiscard]] NativeStream native(Stream& stream);

}  // namespace tandem::cuda
