// What the tests of the emulator share: ints on the emulated device, and launches whose fault is wanted.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/queue.h"
#include "kernels/cuda/runtime.h"
#include "tests/support/emulator/emulator.h"

namespace tandem::emulator::test {

inline void expect_ok(cuda::Status status) { EXPECT_TRUE(status.ok()) << cuda::describe(status).text; }

struct QueueOfOne {
    QueueOfOne() {
        expect_ok(cuda::make_stream(&stream));
        calls = &queue_.emplace(stream, nullptr);
    }
    ~QueueOfOne() { expect_ok(cuda::destroy_stream(stream)); }
    QueueOfOne(const QueueOfOne&) = delete;
    QueueOfOne& operator=(const QueueOfOne&) = delete;
    /// Runs what is queued; the fault, or nothing.
    [[nodiscard]] std::string fault() const {
        take_fault();
        const cuda::Status status = cuda::synchronize_stream(stream);
        std::string found = take_fault();
        EXPECT_EQ(status.ok(), found.empty());
        return found;
    }

    cuda::NativeStream stream = nullptr;
    cuda::StreamHandle calls = nullptr;  ///< the stream as launches take it

private:
    std::optional<cuda::Queue> queue_;
};

/// An allocation of T, not written.
template <class T>
class OnDevice {
public:
    explicit OnDevice(std::size_t count) : count_(count) {
        void* base = nullptr;
        expect_ok(cuda::allocate(count * sizeof(T), &base));
        data = static_cast<T*>(base);
    }
    explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size()) {
        const QueueOfOne queue;
        const std::size_t bytes = values.size() * sizeof(T);
        expect_ok(cuda::copy({data, bytes, values.data(), bytes, bytes, 1}, cuda::Direction::HostToDevice, queue.stream));
        EXPECT_EQ(queue.fault(), "");
    }
    ~OnDevice() { expect_ok(cuda::release(data)); }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

    /// After whatever is queued in `queue`.
    [[nodiscard]] std::vector<T> values(const QueueOfOne& queue) const {
        std::vector<T> out(count_);
        const std::size_t bytes = count_ * sizeof(T);
        expect_ok(cuda::copy({out.data(), bytes, data, bytes, bytes, 1}, cuda::Direction::DeviceToHost, queue.stream));
        return out;
    }

    T* data = nullptr;

private:
    std::size_t count_;
};

inline std::vector<int> counting(int count) {
    std::vector<int> out(static_cast<std::size_t>(count));
    std::iota(out.begin(), out.end(), 0);
    return out;
}

inline constexpr Order kOrders[] = {Order::Forward, Order::Backward, Order::Shuffled};
inline std::string name(Order order) { return order == Order::Forward ? "forward" : order == Order::Backward ? "backward" : "shuffled"; }

}  // namespace tandem::emulator::test
