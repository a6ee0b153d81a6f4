// Every planted fault is found, whichever thread comes first, and the message says where it is.
#include <gtest/gtest.h>

#include <tuple>

#include "tests/support/emulator/test/device_ints.h"
#include "tests/support/emulator/test/planted.cuh"

namespace tandem::emulator::test {

namespace {

std::vector<Planted> all_planted() {
    std::vector<Planted> all(planted_in_memory().begin(), planted_in_memory().end());
    all.insert(all.end(), planted_in_order().begin(), planted_in_order().end());
    return all;
}

class PlantedFault : public testing::TestWithParam<std::tuple<Planted, Order>> {};

TEST_P(PlantedFault, IsFound) {
    const auto& [planted, order] = GetParam();
    set_order(order);
    const OnDevice<int> data(counting(kInts)), fresh(kInts);
    std::vector<int> host(kInts, 1);
    const QueueOfOne queue;
    expect_ok(launch_planted(planted, {data.data, fresh.data, host.data()}, queue.calls));
    const std::string fault = queue.fault();
    EXPECT_TRUE(fault.starts_with(std::string(planted.name) + ": ")) << fault;
    EXPECT_NE(fault.find(planted.message), std::string::npos) << fault;
    if (planted.shared_bytes <= 99U << 10U && planted.threads % 32 == 0 && planted.threads <= 1024) {
        EXPECT_NE(fault.find(": block "), std::string::npos) << fault;
        EXPECT_NE(fault.find("thread"), std::string::npos) << fault;
    }
    EXPECT_EQ(host, std::vector<int>(kInts, 1));
    set_order(Order::Forward);
}

INSTANTIATE_TEST_SUITE_P(Emulator, PlantedFault, testing::Combine(testing::ValuesIn(all_planted()), testing::ValuesIn(kOrders)),
                         [](const auto& one) { return std::get<0>(one.param).name + ("_" + name(std::get<1>(one.param))); });

TEST(Emulator, FaultNamesKernelBlockThreadAndWhat) {
    const OnDevice<int> data(counting(kInts)), fresh(kInts);
    const QueueOfOne queue;
    for (const Planted& planted : all_planted()) {
        if (std::string(planted.name) != "block_reads_anothers") continue;
        expect_ok(launch_planted(planted, {data.data, fresh.data, nullptr}, queue.calls));
        EXPECT_EQ(queue.fault(),
                  "block_reads_anothers: block 1 0 0, thread 0: a write of 4 bytes: byte 128 of an allocation of 1024 was read by "
                  "thread 0 of block 0 0 0 in the same launch: a race");
    }
}

TEST(Emulator, AWriteAfterAReadIsFoundWithoutTheOtherWayRound) {
    const OnDevice<int> data(counting(kInts)), fresh(kInts);
    const QueueOfOne queue;
    int found = 0;
    for (const Planted& planted : planted_in_order()) {
        if (std::string(planted.name).find("_read_then_") == std::string::npos) continue;
        ++found;
        expect_ok(launch_planted(planted, {data.data, fresh.data, nullptr}, queue.calls));
        const std::string fault = queue.fault();
        EXPECT_NE(fault.find("was read by"), std::string::npos) << fault;
    }
    EXPECT_EQ(found, 4);
}

TEST(Emulator, AGridThatNoCardHasIsRefused) {
    const QueueOfOne queue;
    for (const auto& [grid, text] : {std::pair{cuda::Grid{0x80000000U}, "wide: a grid of 2147483648 x 1 x 1"},
                                     std::pair{cuda::Grid{1, 65536}, "wide: a grid of 1 x 65536 x 1"},
                                     std::pair{cuda::Grid{1, 1, 65536}, "wide: a grid of 1 x 1 x 65536"}}) {
        EXPECT_FALSE(cuda::launch(
                         {"wide", grid, 32}, queue.calls, +[](int) {}, 1)
                         .ok());
        EXPECT_EQ(take_fault(), text);
    }
}

TEST(Emulator, WorksAfterAFault) {
    const OnDevice<int> data(counting(kInts)), fresh(kInts);
    const QueueOfOne queue;
    for (int i = 0; i < 3; ++i) {
        expect_ok(launch_planted(planted_in_order()[0], {data.data, fresh.data, nullptr}, queue.calls));
        EXPECT_NE(queue.fault(), "");
        EXPECT_EQ(data.values(queue), counting(kInts));
        EXPECT_EQ(queue.fault(), "");
    }
}

using EmulatorDeathTest = testing::Test;

TEST(EmulatorDeathTest, HostTouchesDeviceMemory) {
    const OnDevice<int> data(counting(kInts));
    EXPECT_DEATH(data.data[3] = 1, "memory of the emulated device, which host code reaches through copies only");
    EXPECT_DEATH(std::exit(*static_cast<volatile int*>(data.data)), "memory of the emulated device");
    EXPECT_DEATH(std::exit(read_on_host(data.data)), "memory of the emulated device");
    EXPECT_DEATH(std::exit(read_on_host(reinterpret_cast<int*>(8))), "the host touched memory that is not its own\n");
}

TEST(EmulatorDeathTest, LocalMemoryIsFull) {
    const OnDevice<int> data(counting(kInts));
    const auto run = [&] {
        const QueueOfOne queue;
        expect_ok(launch_huge_frame({data.data, nullptr, nullptr}, queue.calls));
        std::exit(queue.fault().empty() ? 0 : 1);
    };
    EXPECT_DEATH(run(), "needs more local memory than it has");
}

}  // namespace

}  // namespace tandem::emulator::test
