// Order of work on a device. Ops are enqueued on a Stream and may return before they have run; an Event marks a place
// in that order. Host backends run at once, so there every wait is already over; the trainer is written for the other case.
#pragma once

namespace tandem {

class Event {
public:
    virtual ~Event() = default;
    [[nodiscard]] virtual bool done() const = 0;  ///< does not block
    virtual void synchronize() const = 0;         ///< blocks the host until the work before the mark has run
};

class Stream {
public:
    virtual ~Stream() = default;
    virtual void record(Event& event) = 0;      ///< marks everything enqueued so far
    virtual void wait(const Event& event) = 0;  ///< later work on this stream waits for the mark; the host does not
    virtual void synchronize() = 0;             ///< blocks the host until the stream is empty
    /// Hands over work that is still held back: called before the host waits for something else than this stream.
    virtual void submit() {}
};

}  // namespace tandem
