// Every verb of Communicator, on as many ranks as the program was started with, over every transport that transports_*.cpp names.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>

#include "tests/parallel/transports.h"
#include "tests/support/ranks.h"

namespace {

using namespace tandem;

/// What rank `rank` contributes: any rank can compute any other's.
template <class T>
std::vector<T> values_of(int rank, std::int64_t count, unsigned seed = 0) {
    std::mt19937 engine(seed * 1000 + static_cast<unsigned>(rank));
    std::vector<T> values(static_cast<std::size_t>(count));
    if constexpr (std::is_integral_v<T>) {
        for (auto& v : values) v = static_cast<T>(engine() % 200);
    } else {
        std::normal_distribution<double> normal(0, std::pow(10.0, rank % 3));
        for (auto& v : values) v = static_cast<T>(static_cast<float>(normal(engine)));
    }
    return values;
}

/// The sum in rank order, in the accumulation type, rounded once.
template <class T>
std::vector<T> sum_of(int ranks, std::int64_t count) {
    using Sum = std::conditional_t<std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>, float, T>;
    std::vector<Sum> sum(static_cast<std::size_t>(count));
    for (int r = 0; r < ranks; ++r) {
        const auto part = values_of<T>(r, count);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = r == 0 ? static_cast<Sum>(part[i]) : sum[i] + static_cast<Sum>(part[i]);
    }
    std::vector<T> result(sum.size());
    for (std::size_t i = 0; i < sum.size(); ++i) result[i] = static_cast<T>(sum[i]);
    return result;
}

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b, const std::string& what) {
    ASSERT_EQ(a.size(), b.size()) << what;
    for (std::size_t i = 0; i < a.size(); ++i) {
        ASSERT_EQ(std::memcmp(&a[i], &b[i], sizeof(T)), 0) << what << ": element " << i << " of " << a.size();
    }
}

const std::vector<std::int64_t> kSizes = {0, 1, 2, 3, 5, 7, 64, 1000, 4099, 20011};

class CommunicatorTest : public testing::TestWithParam<test::TransportCase> {
protected:
    void SetUp() override {
        if (const auto reason = GetParam().why_not(); !reason.empty()) GTEST_SKIP() << reason;
        transport_ = GetParam().make();
        group().connect_neighbours();
        memory_ = std::make_unique<Arena>(*transport_.backend, MemoryKind::Communication, std::size_t{64} << 20U);
    }
    test::Transport& transport() { return transport_; }
    Communicator& group() { return *transport_.group; }
    Stream& stream() { return *transport_.stream; }
    [[nodiscard]] int rank() { return group().rank(); }
    [[nodiscard]] int size() { return group().size(); }

    template <class T>
    [[nodiscard]] static bool sums() {
        return GetParam().sums_everything || std::is_same_v<T, float> || size_of(dtype_of<T>()) == 2;
    }
    /// Copies on the device, and back.
    template <class T>
    Tensor put(const std::vector<T>& values) {
        const Tensor x = memory_->allocate("values", dtype_of<T>(), {static_cast<std::int64_t>(values.size())});
        transport_.backend->copy_from_host(stream(), values.data(), x);
        return x;
    }
    template <class T>
    std::vector<T> get(const Tensor& x) {
        std::vector<T> values(static_cast<std::size_t>(x.elements()));
        transport_.backend->copy_to_host(stream(), x, values.data());
        stream().synchronize();
        return values;
    }

    template <class T>
    void all_reduce() {
        if (!sums<T>()) return;
        for (const auto n : kSizes) {
            const Tensor x = put(values_of<T>(rank(), n));
            group().all_reduce(stream(), x);
            expect_same_bits(get<T>(x), sum_of<T>(size(), n), fmt::format("all_reduce of {} {}", n, name(dtype_of<T>())));
        }
    }
    template <class T>
    void reduce_scatter() {
        if (!sums<T>()) return;
        for (const auto block : kSizes) {
            const auto n = block * size();
            const Tensor shard = put(std::vector<T>(static_cast<std::size_t>(block)));
            group().reduce_scatter(stream(), put(values_of<T>(rank(), n)), shard);
            const auto sum = sum_of<T>(size(), n);
            const auto first = sum.begin() + rank() * block;
            expect_same_bits(get<T>(shard), std::vector<T>(first, first + block), fmt::format("reduce_scatter of {}", n));
        }
    }

private:
    test::Transport transport_;
    std::unique_ptr<Arena> memory_;
};

INSTANTIATE_TEST_SUITE_P(Transports, CommunicatorTest, testing::ValuesIn(test::transport_cases()),
                         [](const auto& test) { return test.param.name; });

TEST_P(CommunicatorTest, AllReduceIsTheSumInRankOrderToTheBit) {
    all_reduce<double>();
    all_reduce<float>();
    all_reduce<BFloat16>();
    all_reduce<Float16>();
    all_reduce<std::int64_t>();
    all_reduce<std::int32_t>();
}

TEST_P(CommunicatorTest, ReduceScatterIsABlockOfThatSum) {
    reduce_scatter<double>();
    reduce_scatter<float>();
    reduce_scatter<BFloat16>();
    reduce_scatter<std::int32_t>();
}

TEST_P(CommunicatorTest, ReduceScatterIntoItsOwnBlock) {
    const std::int64_t block = 1001;
    const Tensor all = put(values_of<float>(rank(), block * size()));
    group().reduce_scatter(stream(), all, all.rows(rank() * block, (rank() + 1) * block));
    const auto x = get<float>(all);
    const auto sum = sum_of<float>(size(), block * size());
    for (std::int64_t i = rank() * block; i < (rank() + 1) * block; ++i) {
        ASSERT_EQ(x[static_cast<std::size_t>(i)], sum[static_cast<std::size_t>(i)]) << i;
    }
}

TEST_P(CommunicatorTest, Bf16IsRoundedOnceAndNotAtEveryRank) {
    // 256 + 1 is 256 in bf16: rounding after every addition would never leave 256.
    const Tensor x = put(std::vector<BFloat16>(5, BFloat16(rank() == 0 ? 256.0F : 1.0F)));
    group().all_reduce(stream(), x);
    for (const auto v : get<BFloat16>(x))
        EXPECT_EQ(static_cast<float>(v), static_cast<float>(BFloat16(256.0F + static_cast<float>(size() - 1))));
}

TEST_P(CommunicatorTest, LentBuffersAreEnough) {
    const Tensor x = put(values_of<BFloat16>(rank(), 40009));
    const auto bytes = static_cast<std::int64_t>(group().buffer_bytes(x.bytes()));
    group().lend(bytes > 0 ? put(std::vector<std::uint8_t>(static_cast<std::size_t>(bytes))) : Tensor());
    group().all_reduce(stream(), x);
    expect_same_bits(get<BFloat16>(x), sum_of<BFloat16>(size(), 40009), "sum in a lent buffer");
    group().lend(Tensor());
}

TEST_P(CommunicatorTest, AllReduceOfAMatrix) {
    const Tensor x = put(values_of<float>(rank(), 30 * 41));
    group().all_reduce(stream(), x.reshape({30, 41}));
    expect_same_bits(get<float>(x), sum_of<float>(size(), 30 * 41), "matrix");
}

TEST_P(CommunicatorTest, StreamsTakeTurns) {
    // What one stream's verb still has to copy to the device must not meet what the next one's takes from there.
    const auto other = transport().backend->make_stream();
    const Tensor x = put(values_of<float>(rank(), 4099)), y = put(values_of<float>(rank(), 5003));
    const auto ready = transport().backend->make_event();
    stream().record(*ready);
    other->wait(*ready);
    group().all_reduce(stream(), x);
    group().all_reduce(*other, y);
    other->synchronize();
    expect_same_bits(get<float>(x), sum_of<float>(size(), 4099), "first stream");
    expect_same_bits(get<float>(y), sum_of<float>(size(), 5003), "second stream");
}

TEST_P(CommunicatorTest, AllGatherJoinsShardsInRankOrder) {
    for (const auto block : kSizes) {
        std::vector<std::int32_t> expected;
        for (int r = 0; r < size(); ++r) {
            const auto part = values_of<std::int32_t>(r, block);
            expected.insert(expected.end(), part.begin(), part.end());
        }
        const auto shard = values_of<std::int32_t>(rank(), block);
        std::vector<std::int32_t> nothing(expected.size(), -1);
        const Tensor apart = put(nothing);
        group().all_gather(stream(), put(shard), apart);
        expect_same_bits(get<std::int32_t>(apart), expected, fmt::format("all_gather of {}", block));

        std::copy(shard.begin(), shard.end(), nothing.begin() + rank() * block);
        const Tensor within = put(nothing);
        group().all_gather(stream(), within.rows(rank() * block, (rank() + 1) * block), within);
        expect_same_bits(get<std::int32_t>(within), expected, fmt::format("all_gather of {} in place", block));
    }
}

TEST_P(CommunicatorTest, AllToAllTransposesBlocks) {
    for (const auto block : kSizes) {
        const auto x = values_of<float>(rank(), block * size());
        const Tensor to = put(std::vector<float>(x.size(), -1));
        group().all_to_all(stream(), put(x), to);
        const auto y = get<float>(to);
        for (int r = 0; r < size(); ++r) {
            const auto from = values_of<float>(r, block * size());
            for (std::int64_t i = 0; i < block; ++i) {
                ASSERT_EQ(y[static_cast<std::size_t>(r * block + i)], from[static_cast<std::size_t>(rank() * block + i)]) << r << " " << i;
            }
        }
    }
}

TEST_P(CommunicatorTest, BroadcastFromEveryRoot) {
    for (int root = 0; root < size(); ++root) {
        for (const auto n : kSizes) {
            const Tensor x = put(values_of<std::uint8_t>(rank(), n));
            group().broadcast(stream(), x, root);
            expect_same_bits(get<std::uint8_t>(x), values_of<std::uint8_t>(root, n), "broadcast");
        }
    }
}

TEST_P(CommunicatorTest, SendAndReceiveAroundTheRing) {
    if (size() == 1) {
        const Tensor x = put(std::vector<float>(1));
        EXPECT_THROW(group().send(stream(), x, 1, 0), Error);
        EXPECT_THROW(group().recv(stream(), x, 1, 0), Error);
        return;
    }
    const int next = (rank() + 1) % size(), previous = (rank() + size() - 1) % size();
    for (const auto n : kSizes) {
        const Tensor a = put(values_of<float>(rank(), n, 1)), b = put(values_of<float>(rank(), n, 2));
        const std::vector<float> nothing(static_cast<std::size_t>(n));
        const Tensor from_a = put(nothing), from_b = put(nothing);
        const auto send = [&] {
            group().send(stream(), a, next, 7);
            group().send(stream(), b, next, 8);
        };
        const auto receive = [&] {
            group().recv(stream(), from_a, previous, 7);
            group().recv(stream(), from_b, previous, 8);
        };
        if (rank() == 0) send(), receive();
        else receive(), send();
        expect_same_bits(get<float>(from_a), values_of<float>(previous, n, 1), "tag 7");
        expect_same_bits(get<float>(from_b), values_of<float>(previous, n, 2), "tag 8");
    }
}

TEST_P(CommunicatorTest, SendsUnderWayMeetTheirReceives) {
    if (size() == 1) {
        const Tensor x = put(std::vector<float>(1));
        EXPECT_THROW(static_cast<void>(group().start_send(stream(), x, 1, 0)), Error);
        return;
    }
    const int next = (rank() + 1) % size(), previous = (rank() + size() - 1) % size();
    for (const auto n : kSizes) {
        // All ranks send before any receives: with blocking sends of large tensors nobody would get any further.
        const Tensor a = put(values_of<double>(rank(), n, 1)), b = put(values_of<double>(rank(), n, 2));
        const std::vector<double> nothing(static_cast<std::size_t>(n));
        const Tensor from_a = put(nothing), from_b = put(nothing);
        auto first = group().start_send(stream(), a, next, 32767);
        auto second = group().start_send(stream(), b, next, 0);
        // Tags decide what meets what, not the order.
        group().recv(stream(), from_b, previous, 0);
        group().recv(stream(), from_a, previous, 32767);
        first->wait();
        first->wait();
        transport().backend->copy_from_host(stream(), nothing.data(), a);  // ours again
        second.reset();                                                    // waits by itself
        expect_same_bits(get<double>(from_a), values_of<double>(previous, n, 1), "tag 32767");
        expect_same_bits(get<double>(from_b), values_of<double>(previous, n, 2), "tag 0");
    }
}

TEST_P(CommunicatorTest, ALargeMessageGoesOnWhileItsSenderComputes) {
    if (size() != 2) GTEST_SKIP() << "two ranks tell it";
    if (!GetParam().host) GTEST_SKIP() << "a device's message goes on while its sender is in a call of the group";
    const Tensor x = put(std::vector<float>(std::size_t{1} << 15U));
    const auto start = std::chrono::steady_clock::now();
    if (rank() == 0) {
        auto sent = group().start_send(stream(), x, 1, 0);
        std::this_thread::sleep_for(std::chrono::seconds(3));
        sent->wait();
    } else {
        group().recv(stream(), x, 0, 0);
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(2500));
    }
}

TEST_P(CommunicatorTest, HostSumsAndMaxima) {
    for (const auto n : kSizes) {
        auto d = values_of<double>(rank(), n);
        group().sum(std::span(d));
        expect_same_bits(d, sum_of<double>(size(), n), "sum of doubles");
        auto i = values_of<std::int64_t>(rank(), n);
        group().sum(std::span(i));
        expect_same_bits(i, sum_of<std::int64_t>(size(), n), "sum of integers");

        auto largest = values_of<double>(rank(), n), expected = values_of<double>(0, n);
        auto largest_int = values_of<std::int64_t>(rank(), n), expected_int = values_of<std::int64_t>(0, n);
        for (int r = 1; r < size(); ++r) {
            const auto other = values_of<double>(r, n);
            const auto other_int = values_of<std::int64_t>(r, n);
            for (std::size_t k = 0; k < other.size(); ++k) {
                expected[k] = std::max(expected[k], other[k]);
                expected_int[k] = std::max(expected_int[k], other_int[k]);
            }
        }
        group().max(std::span(largest));
        group().max(std::span(largest_int));
        expect_same_bits(largest, expected, "max of doubles");
        expect_same_bits(largest_int, expected_int, "max of integers");
    }
}

TEST_P(CommunicatorTest, ANanOnAnyRankWinsTheMaximum) {
    for (int bad = 0; bad < size(); ++bad) {
        std::vector<double> x = {rank() == bad ? std::numeric_limits<double>::quiet_NaN() : 1.0, static_cast<double>(rank())};
        group().max(std::span(x));
        EXPECT_TRUE(std::isnan(x[0])) << "NaN on rank " << bad;
        EXPECT_EQ(x[1], size() - 1);
    }
}

TEST_P(CommunicatorTest, Texts) {
    const auto text_of = [](int r) {
        return std::string(static_cast<std::size_t>(r * 150), static_cast<char>('a' + r)) + std::string(1, '\0');
    };
    for (int root = 0; root < size(); ++root) {
        std::string text = text_of(rank());
        group().broadcast(text, root);
        EXPECT_EQ(text, text_of(root));
    }
    const auto all = group().gather(text_of(rank()));
    ASSERT_EQ(static_cast<int>(all.size()), size());
    for (int r = 0; r < size(); ++r) EXPECT_EQ(all[static_cast<std::size_t>(r)], text_of(r));
    std::string empty;
    group().broadcast(empty, 0);
    EXPECT_EQ(empty, "");
}

TEST_P(CommunicatorTest, SplitMakesGroupsOrderedByKey) {
    auto parity = group().split(rank() % 2, -rank());
    EXPECT_EQ(parity->size(), (size() + 1 - rank() % 2) / 2);
    const auto members = parity->gather(std::to_string(rank()));
    for (std::size_t i = 0; i + 1 < members.size(); ++i) EXPECT_EQ(std::stoi(members[i]), std::stoi(members[i + 1]) + 2);
    const Tensor one = put(std::vector<float>{1});
    parity->all_reduce(stream(), one);
    EXPECT_EQ(get<float>(one)[0], static_cast<float>(parity->size()));
}

TEST_P(CommunicatorTest, RepeatedSumsHaveTheSameBits) {
    const auto sum = [&] {
        const Tensor x = put(values_of<float>(rank(), 100003));
        group().all_reduce(stream(), x);
        return get<float>(x);
    };
    const auto first = sum();
    for (int repeat = 0; repeat < 5; ++repeat) {
        expect_same_bits(sum(), first, fmt::format("repeat {}", repeat));
    }
    for (const auto& other : group().gather(std::string(reinterpret_cast<const char*>(first.data()), first.size() * 4))) {
        EXPECT_EQ(std::memcmp(other.data(), first.data(), other.size()), 0) << "ranks differ";
    }
}

TEST_P(CommunicatorTest, WrongOperandsAreNamed) {
    const Tensor x = put(std::vector<float>(static_cast<std::size_t>(3 * size() + 1))), y = put(std::vector<float>(3));
    const Tensor z = put(std::vector<double>(3));
    EXPECT_THROW(group().reduce_scatter(stream(), x, y), Error);
    EXPECT_THROW(group().all_gather(stream(), y, x), Error);
    EXPECT_THROW(group().all_gather(stream(), z, x), Error);
    EXPECT_THROW(group().all_reduce(stream(), put(std::vector<std::uint8_t>(4))), Error);
    const Tensor strided(x.raw(), DType::F32, Shape{2, 1}, 2);
    EXPECT_THROW(group().all_reduce(stream(), strided), Error);
    EXPECT_THROW(group().broadcast(stream(), x, size()), Error);
    EXPECT_THROW(group().broadcast(stream(), x, -1), Error);
    if (size() > 1) {
        EXPECT_THROW(group().all_to_all(stream(), x, x), Error);
    }
    group().barrier();
}

TEST_P(CommunicatorTest, ADisagreementAboutSizesIsAnErrorAndNotGarbage) {
    if (!GetParam().notices_sizes) GTEST_SKIP() << "this transport's messages do not say how large they are";
    if (size() != 2) GTEST_SKIP() << "two ranks tell it";
    auto pair = group().split(0, rank());
    const Tensor x = put(std::vector<float>(rank() == 0 ? 10 : 20));
    if (rank() == 0) {
        pair->send(stream(), x, 1, 3);
    } else {
        EXPECT_THROW(pair->recv(stream(), x, 0, 3), Error);
    }
}

}  // namespace
