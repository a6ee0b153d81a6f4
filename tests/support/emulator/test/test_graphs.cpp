// Queues that hold calls back, and what they make of lists that come again: the same numbers as calls one by one, whatever changes.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cuda/check.h"
#include "kernels/cuda/graph.h"
#include "tests/support/emulator/streams.h"
#include "tests/support/emulator/test/device_ints.h"
#include "tests/support/emulator/test/right.cuh"

namespace tandem::emulator::test {

namespace {

using cuda::GraphCache;

GraphCache::Limits limits_of(std::size_t graphs) {
    GraphCache::Limits limits;
    limits.graphs = graphs;
    return limits;
}

/// A stream whose calls are held back, and eight ints.
struct Graphed {
    explicit Graphed(const GraphCache::Limits& limits = {}) : graphs{GraphCache(limits), {}}, queue(native.stream, &graphs) {}
    void fill(int place, int count, int value) { cuda::check(launch_fill(y.data + place, count, value, &queue), "fill"); }
    /// y[i] = values[i], a call each.
    void fill_each(const std::vector<int>& values) {
        for (std::size_t i = 0; i < values.size(); ++i) fill(static_cast<int>(i), 1, values[i]);
        queue.flush();
    }
    void zero(int place, int count) {
        const struct Fill {
            int* base;
            std::size_t bytes;
        } what{y.data + place, static_cast<std::size_t>(count) * sizeof(int)};
        const auto enqueue = [](const void* bytes, cuda::NativeStream stream) {
            const auto& fill = *static_cast<const Fill*>(bytes);
            return cuda::fill_zero(fill.base, fill.bytes, fill.bytes, 1, stream);
        };
        cuda::check(queue.enqueue({"zero", enqueue, std::as_bytes(std::span(&what, 1))}), "zero");
    }
    /// The calls that the device's own stream has got so far.
    [[nodiscard]] std::uint64_t passed_on() const { return native.stream->enqueued; }
    [[nodiscard]] std::vector<int> values() const { return y.values(native); }
    [[nodiscard]] const cuda::GraphCounters& counters() const { return graphs.cache.counters(); }

    OnDevice<int> y{std::vector<int>(8, -1)};
    QueueOfOne native;
    cuda::Graphs graphs;
    cuda::Queue queue;
};

TEST(Graphs, AListThatComesAgainIsOneCall) {
    Graphed g;
    const std::uint64_t before = launches();
    for (int round = 0; round < 4; ++round) {
        g.fill_each({1, 2, 3, 4, 5});
        EXPECT_EQ(g.values(), (std::vector<int>{1, 2, 3, 4, 5, -1, -1, -1}));
    }
    EXPECT_EQ(launches() - before, 20U);
    EXPECT_EQ(g.counters().recorded, 1U);
    EXPECT_EQ(g.counters().launches, 3U);
    EXPECT_EQ(g.counters().calls, 20U);
    EXPECT_EQ(g.counters().calls_in_graphs, 15U);
    EXPECT_EQ(g.counters().changed, 0U);
}

TEST(Graphs, ArgumentsAndGridsThatChangeAreTheNewOnes) {
    Graphed g;
    for (const std::vector<int>& values :
         {std::vector{1, 2, 3, 4}, std::vector{1, 2, 3, 4}, std::vector{1, 7, 3, 4}, std::vector{1, 7, 3, 4}, std::vector{9, 2, 3, 8}}) {
        g.fill_each(values);
        std::vector<int> want = values;
        want.resize(8, -1);
        EXPECT_EQ(g.values(), want);
    }
    EXPECT_EQ(g.counters().recorded, 1U);
    EXPECT_EQ(g.counters().launches, 4U);
    EXPECT_EQ(g.counters().changed, 1U + 0U + 3U);

    Graphed wide;
    const OnDevice<int> many(std::vector<int>(200, 0));
    for (const int count : {64, 64, 200, 65}) {  // one block, and more
        for (int i = 0; i < 4; ++i) cuda::check(launch_fill(many.data, count, count + i, &wide.queue), "fill");
        wide.queue.flush();
        const auto got = many.values(wide.native);
        EXPECT_EQ(std::ranges::count(got, count + 3), count);
    }
    EXPECT_EQ(wide.counters().launches, 3U);
    EXPECT_EQ(wide.counters().changed, 8U);
}

TEST(Graphs, AChangeIsNotOfLaunchesBeforeIt) {
    Graphed g;
    const OnDevice<int> seen(3);
    g.fill_each({0, 0, 0, 0});
    for (int round = 1; round <= 3; ++round) {  // nobody waits in between
        g.fill_each({0, 0, 0, round});
        expect_ok(cuda::copy({seen.data + round - 1, 4, g.y.data + 3, 4, 4, 1}, cuda::Direction::DeviceToDevice, g.native.stream));
    }
    EXPECT_EQ(seen.values(g.native), (std::vector<int>{1, 2, 3}));
    EXPECT_EQ(g.counters().launches, 3U);
}

TEST(Graphs, OtherWorkThatChangesIsAnotherList) {
    Graphed g;
    for (int round = 0; round < 6; ++round) {
        const int place = round % 3;
        for (int i = 0; i < 5; ++i) g.fill(i, 1, 10 + round);
        g.zero(place, 1);
        g.queue.flush();
        std::vector<int> want(8, -1);
        for (int i = 0; i < 5; ++i) want[static_cast<std::size_t>(i)] = i == place ? 0 : 10 + round;
        EXPECT_EQ(g.values(), want);
    }
    EXPECT_EQ(g.counters().recorded, 3U);
    EXPECT_EQ(g.counters().launches, 3U);
    for (const int count : {4, 4}) {  // a kernel more or fewer is another list, too
        for (int i = 0; i < count; ++i) g.fill(i, 1, 3);
        g.zero(0, 1);
        g.queue.flush();
    }
    EXPECT_EQ(g.counters().recorded, 4U);
}

TEST(Graphs, ShortListsAreCallsOneByOne) {
    Graphed g;
    for (int round = 0; round < 5; ++round) g.fill_each({1, 2, 3});
    EXPECT_EQ(g.counters().calls, 15U);
    EXPECT_EQ(g.counters().launches, 0U);
}

TEST(Graphs, TheOneThatWasUsedLongestAgoGoes) {
    Graphed g(limits_of(2));
    const auto list = [&](int length) { g.fill_each(std::vector<int>(static_cast<std::size_t>(length), length)); };
    for (const int length : {4, 4, 5, 5, 4, 6, 6}) list(length);  // 6 takes the place of 5
    EXPECT_EQ(g.counters().recorded, 3U);
    EXPECT_EQ(g.counters().dropped, 1U);
    const auto launches = g.counters().launches;
    list(4);
    list(6);
    EXPECT_EQ(g.counters().launches, launches + 2);
    EXPECT_EQ(g.counters().recorded, 3U);
    list(5);
    EXPECT_EQ(g.counters().recorded, 4U);
    EXPECT_EQ(g.values(), (std::vector<int>{5, 5, 5, 5, 5, 6, -1, -1}));
}

TEST(Graphs, AreBoundedInTheirCalls) {
    GraphCache::Limits limits;
    limits.calls = 9;
    Graphed g(limits);
    for (int round = 0; round < 2; ++round) {
        for (const int length : {4, 5}) {
            for (int again = 0; again < 2; ++again) g.fill_each(std::vector<int>(static_cast<std::size_t>(length), 1));
        }
    }
    EXPECT_EQ(g.counters().dropped, 0U);
    for (int again = 0; again < 2; ++again) g.fill_each(std::vector<int>(6, 1));
    EXPECT_EQ(g.counters().dropped, 2U);
    for (int again = 0; again < 3; ++again) {
        for (int i = 0; i < 10; ++i) g.fill(0, 1, 1);
        g.queue.flush();
    }
    EXPECT_EQ(g.counters().recorded, 3U);  // a list longer than all may be is never kept
}

TEST(Graphs, WhatIsDroppedAgainAndAgainIsNotRecordedForEver) {
    Graphed g(limits_of(2));
    std::uint64_t recorded = 0;
    for (int round = 0; round < 20; ++round) {
        if (round == 12) recorded = g.counters().recorded;
        for (const int length : {4, 5, 6, 7}) g.fill_each(std::vector<int>(static_cast<std::size_t>(length), 100 * round + length));
        EXPECT_EQ(g.values(), (std::vector<int>{100 * round + 7, 100 * round + 7, 100 * round + 7, 100 * round + 7, 100 * round + 7,
                                                100 * round + 7, 100 * round + 7, -1}));
    }
    EXPECT_LE(recorded, 4U * 3U);
    EXPECT_EQ(g.counters().recorded, recorded);
    const auto launches = g.counters().launches;
    for (const int length : {4, 5, 6, 7}) g.fill_each(std::vector<int>(static_cast<std::size_t>(length), 1));
    EXPECT_EQ(g.counters().launches, launches + 2);  // and those that are kept go on
}

TEST(Graphs, ManyCallsDoNotWaitForOneThatAsks) {
    Graphed g;
    const std::uint64_t before = g.passed_on();
    for (std::size_t i = 0; i < cuda::Queue::kMost; ++i) g.fill(0, 1, 1);
    EXPECT_EQ(g.passed_on(), before);
    g.fill(0, 1, 2);
    EXPECT_EQ(g.passed_on() - before, cuda::Queue::kMost);
    EXPECT_EQ(g.queue.flushed(), g.native.stream);
    EXPECT_EQ(g.passed_on() - before, cuda::Queue::kMost + 1);
}

/// What is thrown, without the place in the source; "" where nothing is.
template <class F>
std::string error_of(F f) {
    try {
        f();
    } catch (const Error& error) {
        take_fault();
        const std::string text = error.what();
        return text.substr(0, text.rfind(" (", text.find(".cpp:")));
    }
    return "";
}

TEST(Graphs, AFailureNamesTheOpAndItsOperands) {
    Graphed g;
    const Tensor x(g.y.data, DType::I32, {2, 3});
    const auto with_grid = [&](unsigned height) {
        for (int i = 0; i < 3; ++i) g.fill(i, 1, i);
        const auto kernel = +[](int) {};
        cuda::check(cuda::launch({"tall kernel", {1, height}, 32}, &g.queue, kernel, 1), "tall op", {x});
        g.fill(4, 1, 4);
    };
    for (int i = 0; i < 5; ++i) g.fill(0, 1, 0);  // their names are forgotten with them
    g.queue.flush();
    // Enqueued one by one, then recorded: both times it is that call.
    for (int round = 0; round < 2; ++round) {
        with_grid(70000);
        EXPECT_EQ(error_of([&] { g.queue.flush(); }),
                  "cuda: tall op of int32 [2, 3]: cudaErrorLaunchFailure: tall kernel: a grid of 1 x 70000 x 1");
    }
    for (int round = 0; round < 2; ++round) {  // neither the stream nor the queue is the worse for it
        with_grid(1);
        EXPECT_EQ(error_of([&] { g.queue.flush(); }), "");
    }
    EXPECT_EQ(g.values(), (std::vector<int>{0, 1, 2, -1, 4, -1, -1, -1}));
    EXPECT_EQ(g.counters().launches, 2U);
    with_grid(70000);  // a grid that a graph cannot get
    EXPECT_EQ(error_of([&] { g.queue.flush(); }),
              "cuda: tall op (changing a graph's kernel; device.graphs = off does without) of int32 [2, 3]: cudaErrorLaunchFailure: tall "
              "kernel: a grid of 1 x 70000 x 1");
    with_grid(1);  // that graph is gone, whole
    g.queue.flush();
    EXPECT_EQ(g.values(), (std::vector<int>{0, 1, 2, -1, 4, -1, -1, -1}));
    EXPECT_EQ(g.counters().recorded, 2U);
    // A call that nobody has noted yet goes by its kernel's name; what is behind it is dropped.
    for (std::size_t i = 1; i < cuda::Queue::kMost; ++i) g.fill(0, 1, 5);
    expect_ok(cuda::launch(
        {"tall kernel", {1, 70000}, 32}, &g.queue, +[](int) {}, 1));
    EXPECT_EQ(error_of([&] { g.fill(1, 1, 5); }), "cuda: tall kernel: cudaErrorLaunchFailure: tall kernel: a grid of 1 x 70000 x 1");
}

TEST(Graphs, AFaultInAGraphIsTheKernels) {
    Graphed g;
    for (int round = 0; round < 2; ++round) g.fill_each({1, 2, 3, 4});
    EXPECT_EQ(g.native.fault(), "");
    for (int i = 0; i < 4; ++i) g.fill(i, i == 2 ? 64 : 1, 1);
    g.queue.flush();
    EXPECT_EQ(g.counters().launches, 2U);
    EXPECT_NE(g.native.fault().find("fill: block 0 0 0, thread 6: a write of 4 bytes"), std::string::npos);
}

TEST(EmulatedGraphs, NothingThatWaitsIsAllowedWhileAStreamIsRecorded) {
    const QueueOfOne queue;
    const OnDevice<int> x(std::vector<int>{1});
    cuda::EventHandle event = nullptr;
    expect_ok(cuda::make_event(&event));
    expect_ok(cuda::begin_capture(queue.stream));
    EXPECT_FALSE(cuda::begin_capture(queue.stream).ok());
    int host = 0;
    void* base = nullptr;
    EXPECT_FALSE(cuda::synchronize_stream(queue.stream).ok());
    EXPECT_FALSE(cuda::record_event(event, queue.stream).ok());
    EXPECT_FALSE(cuda::wait_event(queue.stream, event).ok());
    EXPECT_FALSE(cuda::copy({&host, 4, x.data, 4, 4, 1}, cuda::Direction::DeviceToHost, queue.stream).ok());
    EXPECT_FALSE(cuda::allocate(4, &base).ok());
    EXPECT_FALSE(cuda::release(x.data).ok());
    expect_ok(launch_fill(x.data, 1, 2, queue.calls));
    cuda::GraphNodeHandle node = nullptr, other = nullptr;
    expect_ok(cuda::newest_node(queue.stream, &node));
    expect_ok(cuda::fill_zero(x.data, 4, 4, 1, queue.stream));
    expect_ok(cuda::newest_node(queue.stream, &other));
    cuda::GraphHandle graph = nullptr;
    expect_ok(cuda::end_capture(queue.stream, &graph));
    EXPECT_FALSE(cuda::end_capture(queue.stream, &graph).ok());
    EXPECT_EQ(x.values(queue), std::vector<int>{1});  // recorded, not run
    cuda::GraphExecHandle exec = nullptr;
    expect_ok(cuda::instantiate(graph, &exec));
    EXPECT_FALSE(cuda::change_kernel(exec, other, {"fill", {1}, 64}, {}).ok());  // not a kernel
    EXPECT_FALSE(cuda::change_kernel(exec, node, {"fill", {1}, 64}, {}).ok());   // another kernel
    expect_ok(cuda::launch_graph(exec, queue.stream));
    EXPECT_EQ(x.values(queue), std::vector<int>{0});
    expect_ok(cuda::destroy_graph(graph));
    EXPECT_FALSE(cuda::change_kernel(exec, node, {"fill", {1}, 64}, {}).ok());
    expect_ok(cuda::destroy_exec(exec));
    expect_ok(cuda::destroy_event(event));
}

}  // namespace

}  // namespace tandem::emulator::test
