// Work runs as late as CUDA allows: what was not waited for is not there.
#include <gtest/gtest.h>

#include "tests/support/emulator/test/device_ints.h"
#include "tests/support/emulator/test/right.cuh"

namespace tandem::emulator::test {

namespace {

using cuda::Direction;

class Pinned {
public:
    explicit Pinned(std::size_t ints) {
        void* base = nullptr;
        expect_ok(cuda::allocate_pinned(ints * sizeof(int), &base));
        data = static_cast<int*>(base);
    }
    ~Pinned() {
        if (data != nullptr) expect_ok(cuda::release_pinned(data));
    }
    Pinned(const Pinned&) = delete;
    Pinned& operator=(const Pinned&) = delete;

    int* data = nullptr;
};

void expect_copied(void* to, const void* from, std::size_t bytes, Direction direction, const QueueOfOne& queue) {
    expect_ok(cuda::copy({to, bytes, from, bytes, bytes, 1}, direction, queue.stream));
}

struct Event {
    Event() { expect_ok(cuda::make_event(&handle)); }
    ~Event() { expect_ok(cuda::destroy_event(handle)); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    [[nodiscard]] bool done() const {
        bool done = false;
        expect_ok(cuda::query_event(handle, &done));
        return done;
    }
    cuda::EventHandle handle = nullptr;
};

TEST(EmulatedStreams, SecondStreamSeesOldDataUnlessItWaits) {
    const OnDevice<int> x(std::vector<int>{1});
    const QueueOfOne first, second;
    const Pinned seen(1);
    expect_ok(launch_fill(x.data, 1, 2, first.calls));
    expect_copied(seen.data, x.data, 4, Direction::DeviceToHost, second);
    EXPECT_EQ(second.fault(), "");
    EXPECT_EQ(*seen.data, 1);

    const Event filled;
    expect_ok(cuda::record_event(filled.handle, first.stream));
    expect_ok(cuda::wait_event(second.stream, filled.handle));
    expect_copied(seen.data, x.data, 4, Direction::DeviceToHost, second);
    EXPECT_EQ(*seen.data, 1);  // nobody has waited yet
    EXPECT_EQ(second.fault(), "");
    EXPECT_EQ(*seen.data, 2);
}

TEST(EmulatedStreams, AWaitIsForTheEventAsItWasRecorded) {
    const OnDevice<int> x(std::vector<int>{1});
    const QueueOfOne first, second;
    const Pinned seen(1);
    const Event event;
    expect_ok(launch_fill(x.data, 1, 2, first.calls));
    expect_ok(cuda::record_event(event.handle, first.stream));
    expect_ok(cuda::wait_event(second.stream, event.handle));
    expect_ok(launch_fill(x.data, 1, 3, first.calls));
    expect_ok(cuda::record_event(event.handle, first.stream));
    expect_copied(seen.data, x.data, 4, Direction::DeviceToHost, second);
    EXPECT_EQ(second.fault(), "");
    EXPECT_EQ(*seen.data, 2);
    expect_ok(cuda::synchronize_event(event.handle));
    expect_copied(seen.data, x.data, 4, Direction::DeviceToHost, second);
    EXPECT_EQ(second.fault(), "");
    EXPECT_EQ(*seen.data, 3);
}

TEST(EmulatedStreams, EventsAreDoneWhenTheirWorkIs) {
    const OnDevice<int> x(1);
    const QueueOfOne queue;
    const Event event;
    EXPECT_TRUE(event.done());  // nothing was recorded
    expect_ok(launch_fill(x.data, 1, 2, queue.calls));
    expect_ok(cuda::record_event(event.handle, queue.stream));
    EXPECT_FALSE(event.done());
    EXPECT_TRUE(event.done());  // who asks again and again is not kept waiting
    EXPECT_EQ(queue.fault(), "");
}

TEST(EmulatedStreams, PageableSourceMayBeReusedAtOncePinnedMayNot) {
    const OnDevice<int> x(2);
    const QueueOfOne queue;
    int pageable = 1;
    const Pinned pinned(1);
    *pinned.data = 1;
    expect_copied(x.data, &pageable, 4, Direction::HostToDevice, queue);
    expect_copied(x.data + 1, pinned.data, 4, Direction::HostToDevice, queue);
    pageable = *pinned.data = 7;
    EXPECT_EQ(x.values(queue), (std::vector<int>{1, 7}));
}

TEST(EmulatedStreams, PageableTargetIsThereAtOncePinnedIsNot) {
    const OnDevice<int> x(std::vector<int>{5});
    const QueueOfOne queue;
    const Pinned pinned(1);
    int pageable = 0;
    expect_copied(pinned.data, x.data, 4, Direction::DeviceToHost, queue);
    EXPECT_EQ(*pinned.data, 0);
    expect_copied(&pageable, x.data, 4, Direction::DeviceToHost, queue);
    EXPECT_EQ(pageable, 5);
    EXPECT_EQ(*pinned.data, 5);  // it was queued before
}

TEST(EmulatedStreams, GivingMemoryBackWaitsForAllWork) {
    const QueueOfOne queue;
    Pinned seen(1);
    {
        const OnDevice<int> x(std::vector<int>{3});
        expect_copied(seen.data, x.data, 4, Direction::DeviceToHost, queue);
        EXPECT_EQ(*seen.data, 0);
    }
    EXPECT_EQ(*seen.data, 3);
    const OnDevice<int> x(std::vector<int>{4, 4});
    *seen.data = 8;
    expect_copied(x.data, seen.data, 4, Direction::HostToDevice, queue);
    expect_ok(cuda::release_pinned(seen.data));
    seen.data = nullptr;
    EXPECT_EQ(x.values(queue), (std::vector<int>{8, 4}));
}

TEST(EmulatedStreams, MemoryThatWasGivenBackIsGone) {
    const QueueOfOne queue;
    void* base = nullptr;
    expect_ok(cuda::allocate(4, &base));
    expect_ok(cuda::release(base));
    EXPECT_FALSE(cuda::release(base).ok());
    expect_ok(launch_fill(static_cast<int*>(base), 1, 2, queue.calls));
    EXPECT_NE(queue.fault().find("fill: block 0 0 0, thread 0: a write of 4 bytes at "), std::string::npos);
}

TEST(EmulatedStreams, CopiesStayWithinTheirMemory) {
    const OnDevice<int> x(counting(4)), y(4);
    const QueueOfOne queue;
    int host[5] = {};
    expect_copied(x.data, host, 20, Direction::HostToDevice, queue);
    EXPECT_EQ(queue.fault(), "copy: the target is bytes 0 to 20 of an allocation of 16: out of bounds");
    expect_copied(y.data, x.data + 1, 16, Direction::DeviceToDevice, queue);
    EXPECT_EQ(queue.fault(), "copy: the source is bytes 4 to 20 of an allocation of 16: out of bounds");
    expect_copied(y.data, host, 16, Direction::DeviceToDevice, queue);
    EXPECT_NE(queue.fault().find("which is not memory of the device"), std::string::npos);
    expect_ok(cuda::fill_zero(x.data, 20, 20, 1, queue.stream));
    EXPECT_EQ(queue.fault(), "fill: the target is bytes 0 to 20 of an allocation of 16: out of bounds");
    EXPECT_FALSE(cuda::copy({x.data, 4, y.data, 8, 8, 1}, Direction::DeviceToDevice, queue.stream).ok());
    EXPECT_FALSE(cuda::fill_zero(x.data, 4, 8, 1, queue.stream).ok());
}

TEST(EmulatedStreams, RowsAreCopiedAndZeroed) {
    const OnDevice<int> x(counting(12)), y(std::vector<int>(12, -1));
    const QueueOfOne queue;
    expect_ok(cuda::copy({y.data, 16, x.data, 12, 8, 3}, Direction::DeviceToDevice, queue.stream));
    EXPECT_EQ(y.values(queue), (std::vector<int>{0, 1, -1, -1, 3, 4, -1, -1, 6, 7, -1, -1}));
    expect_ok(cuda::fill_zero(y.data, 16, 12, 2, queue.stream));
    EXPECT_EQ(y.values(queue), (std::vector<int>{0, 0, 0, -1, 0, 0, 0, -1, 6, 7, -1, -1}));
}

TEST(EmulatedStreams, WhatNobodyWroteDoesNotReachTheHostAsZeros) {
    const OnDevice<int> x(2), y(2);
    const QueueOfOne queue;
    expect_ok(launch_fill(x.data, 1, 5, queue.calls));
    expect_copied(y.data, x.data, 8, Direction::DeviceToDevice, queue);
    EXPECT_EQ(y.values(queue), (std::vector<int>{5, -1}));
}

TEST(EmulatedStreams, MemoryIsFinite) {
    std::size_t free = 0, total = 0, free_now = 0;
    expect_ok(cuda::memory_info(&free, &total));
    set_memory(total - free + 1000);
    void* base = nullptr;
    const cuda::Status status = cuda::allocate(1001, &base);
    EXPECT_EQ(cuda::describe(status).kind, cuda::StatusKind::OutOfMemory);
    expect_ok(cuda::allocate(1000, &base));
    expect_ok(cuda::memory_info(&free_now, &total));
    EXPECT_EQ(free_now, 0U);
    expect_ok(cuda::release(base));
    set_memory(std::size_t{8} << 30U);
}

TEST(EmulatedStreams, WhatFollowsAFaultIsNotRun) {
    const OnDevice<int> x(std::vector<int>{1});
    const QueueOfOne queue;
    expect_ok(launch_fill(x.data, 2, 5, queue.calls));
    expect_ok(launch_fill(x.data, 1, 6, queue.calls));
    const cuda::Status status = cuda::synchronize_stream(queue.stream);
    EXPECT_EQ(cuda::describe(status).kind, cuda::StatusKind::EarlierWork);
    EXPECT_NE(take_fault().find("out of bounds"), std::string::npos);
    EXPECT_NE(x.values(queue), std::vector<int>{6});
}

}  // namespace

}  // namespace tandem::emulator::test
