// Paged moments where copies and updates do not run at once: pages arrive, are used and go home in the order that was asked for.
#include <gtest/gtest.h>

#include "src/engine/eight_bit_states.h"
#include "tests/engine/queued_backend.h"

namespace tandem::test {
namespace {

constexpr std::int64_t kBlock = EightBitMoments::kBlock, kPage = 2 * kBlock;

/// Buckets of three pages, of one, of none and of two.
std::vector<BucketMoments> buckets() {
    std::vector<BucketMoments> list;
    for (const std::int64_t blocks : {5, 1, 0, 4}) {
        BucketMoments m;
        m.pieces = {{true, 0}};
        m.eight_bit = m.most_eight_bit = blocks * kBlock;
        list.push_back(m);
    }
    return list;
}

/// An update that no other order of updates gives.
std::uint8_t next(std::uint8_t code, int round, std::size_t bucket, std::int64_t element) {
    return static_cast<std::uint8_t>(code * 3 + round * 7 + static_cast<int>(bucket) * 31 + static_cast<int>(element % 251) + 1);
}

struct Device {
    explicit Device(Queues::Order order, unsigned seed = 0) : queues(order, seed) {}
    Queues queues;
    QueuedBackend backend{queues};
    std::unique_ptr<Stream> stream = backend.make_stream();
    DeviceMemory memory{backend, std::size_t{1} << 20};
    Context ctx{backend, *stream, memory[MemoryKind::Workspace]};
    std::unique_ptr<EightBitStates> states = make_paged_states(buckets(), ctx, memory, kPage);

    void update(int round, std::size_t bucket) {
        states->visit(ctx, bucket, [&](const EightBitMoments& m, std::int64_t first, std::int64_t count) {
            backend.enqueue(*stream, [=] {
                for (std::int64_t i = 0; i < count; ++i) {
                    std::uint8_t& code = m.v.data<std::uint8_t>()[i];
                    code = next(code, round, bucket, first + i);
                }
                for (std::int64_t i = 0; i < count / kBlock; ++i) m.m_absmax.data<float>()[i] += static_cast<float>(first + i + round);
            });
        });
    }
    template <class T>
    [[nodiscard]] std::vector<T> read(std::size_t bucket, StatePart part, std::int64_t n) {
        std::vector<T> values(static_cast<std::size_t>(n));
        states->read(ctx, bucket, part, 0, std::as_writable_bytes(std::span(values)));
        return values;
    }
};

void expect_state_after(Device& device, int rounds) {
    const auto list = buckets();
    for (std::size_t b = 0; b < list.size(); ++b) {
        const std::int64_t n = list[b].eight_bit;
        std::vector<std::uint8_t> codes(static_cast<std::size_t>(n));
        std::vector<float> scales(static_cast<std::size_t>(n / kBlock));
        for (int round = 0; round < rounds; ++round) {
            for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = next(codes[i], round, b, static_cast<std::int64_t>(i));
            for (std::size_t i = 0; i < scales.size(); ++i) {
                const std::size_t in_page = i % (kPage / kBlock);
                scales[i] += static_cast<float>((i - in_page) * kBlock + in_page) + static_cast<float>(round);
            }
        }
        EXPECT_EQ(device.read<std::uint8_t>(b, StatePart::SecondCodes, n), codes) << "bucket " << b;
        EXPECT_EQ(device.read<float>(b, StatePart::FirstAbsmax, n / kBlock), scales) << "bucket " << b;
    }
}

void run(Device& device) {
    for (int round = 0; round < 3; ++round)
        for (std::size_t b = 0; b < buckets().size(); ++b) device.update(round, b);
    expect_state_after(device, 3);
    // Written state is what comes next, whatever was on its way.
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(kBlock), 9);
    device.update(3, 0);
    device.states->write(device.ctx, 1, StatePart::SecondCodes, 0, std::as_bytes(std::span(codes)));
    device.update(4, 1);
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = next(9, 4, 1, static_cast<std::int64_t>(i));
    EXPECT_EQ(device.read<std::uint8_t>(1, StatePart::SecondCodes, kBlock), codes);
}

TEST(PagedOrder, UpdatesFirst) {
    Device device(Queues::Order::First);
    run(device);
}

TEST(PagedOrder, CopiesFirst) {
    Device device(Queues::Order::Last);
    run(device);
}

TEST(PagedOrder, ByChance) {
    for (unsigned seed = 1; seed <= 50; ++seed) {
        Device device(Queues::Order::Chance, seed);
        run(device);
    }
}

/// A device that failed is what a run ends with: giving back what was on it must not end the process before that is said.
TEST(PagedOrder, ALostDeviceIsLeftWithoutAnotherFailure) {
    Device device(Queues::Order::First);
    device.update(0, 0);
    device.queues.broken = true;
    EXPECT_THROW(device.stream->synchronize(), Error);
    device.states.reset();
}

/// Its device may wait for other ranks, which wait for it.
TEST(PagedOrder, ARankThatUnwindsDoesNotWaitForItsDevice) {
    Device device(Queues::Order::First);
    device.update(0, 0);
    const auto ran = device.queues.ran;
    try {
        const auto states = std::move(device.states);
        fail(Failure::Run, "another rank is waited for");
    } catch (const Error&) {
        EXPECT_EQ(device.queues.ran, ran);
        EXPECT_EQ(device.backend.host_given_back, 0);
    }
}

}  // namespace
}  // namespace tandem::test
