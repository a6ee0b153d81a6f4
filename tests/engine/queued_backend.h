// A device whose streams run nothing until somebody waits, and then in any order that events allow: what depends on an order that
// is not asked for shows. Copies and what a test enqueues; ops do nothing.
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <random>
#include <vector>

#include "kernels/base/error.h"
#include "kernels/dry/backend_dry.h"

namespace tandem::test {

/// A place in a stream's order.
struct QueueMark {
    std::size_t stream = 0;
    std::uint64_t number = 0;  ///< 0: not recorded
};

class Queues {
public:
    /// Which stream goes on where several can: the first one, the last one, or by chance.
    enum class Order { First, Last, Chance };

    using Mark = QueueMark;

    explicit Queues(Order order, unsigned seed = 0) : order_(order), random_(seed) {}
    std::size_t add() {
        lines_.emplace_back();
        return lines_.size() - 1;
    }
    void push(std::size_t stream, std::function<void()> work, Mark after = {}) {
        lines_[stream].waiting.push_back({std::move(work), after});
        ++lines_[stream].enqueued;
    }
    [[nodiscard]] Mark mark(std::size_t stream) const { return {stream, lines_[stream].enqueued}; }
    [[nodiscard]] bool done(const Mark& m) const { return m.number == 0 || lines_[m.stream].ran >= m.number; }
    void drain(const Mark& until) {
        if (broken) fail(Failure::Run, "the device is lost");
        while (!done(until)) run_one();
    }
    bool broken = false;
    std::uint64_t ran = 0;  ///< of all streams

private:
    struct Item {
        std::function<void()> work;
        Mark after;
    };
    struct Line {
        std::deque<Item> waiting;
        std::uint64_t enqueued = 0, ran = 0;
    };
    void run_one() {
        std::vector<std::size_t> ready;
        for (std::size_t i = 0; i < lines_.size(); ++i)
            if (!lines_[i].waiting.empty() && done(lines_[i].waiting.front().after)) ready.push_back(i);
        require(!ready.empty(), "streams wait for each other");
        std::size_t chosen = order_ == Order::Last ? ready.back() : ready.front();
        if (order_ == Order::Chance) chosen = ready[random_() % ready.size()];
        Line& line = lines_[chosen];
        const Item item = std::move(line.waiting.front());
        line.waiting.pop_front();
        if (item.work) item.work();
        ++line.ran;
        ++ran;
    }
    Order order_;
    std::mt19937 random_;
    std::vector<Line> lines_;
};

class QueuedEvent final : public Event {
public:
    explicit QueuedEvent(Queues& queues) : queues_(queues) {}
    [[nodiscard]] bool done() const override { return queues_.done(mark); }
    void synchronize() const override { queues_.drain(mark); }
    Queues::Mark mark;

private:
    Queues& queues_;
};

class QueuedStream final : public Stream {
public:
    explicit QueuedStream(Queues& queues) : number(queues.add()), queues_(queues) {}
    void record(Event& event) override { dynamic_cast<QueuedEvent&>(event).mark = queues_.mark(number); }
    void wait(const Event& event) override { queues_.push(number, nullptr, dynamic_cast<const QueuedEvent&>(event).mark); }
    void synchronize() override { queues_.drain(queues_.mark(number)); }
    const std::size_t number;

private:
    Queues& queues_;
};

class QueuedBackend final : public DryBackend {
public:
    explicit QueuedBackend(Queues& queues) : queues_(queues) {}
    void* reserve(std::size_t bytes) override { return reserve_host_memory(bytes); }
    void unreserve(void* base, std::size_t bytes) noexcept override { unreserve_host_memory(base, bytes); }
    void* reserve_host(std::size_t bytes) override { return reserve_host_memory(bytes); }
    void unreserve_host(void* base, std::size_t bytes) noexcept override {
        unreserve_host_memory(base, bytes);
        ++host_given_back;
    }
    int host_given_back = 0;
    std::unique_ptr<Stream> make_stream() override { return std::make_unique<QueuedStream>(queues_); }
    std::unique_ptr<Event> make_event() override { return std::make_unique<QueuedEvent>(queues_); }
    void copy_from_host(Stream& stream, const void* source, const Tensor& target) override {
        enqueue(stream, [=] { std::memcpy(target.raw(), source, target.bytes()); });
    }
    void copy_to_host(Stream& stream, const Tensor& source, void* target) override {
        enqueue(stream, [=] { std::memcpy(target, source.raw(), source.bytes()); });
    }
    void enqueue(Stream& stream, std::function<void()> work) { queues_.push(dynamic_cast<QueuedStream&>(stream).number, std::move(work)); }

private:
    Queues& queues_;
};

}  // namespace tandem::test
