// Right kernels pass, in every order of threads and blocks, and compute what plain loops do.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>

#include "kernels/base/dtype.h"
#include "tests/support/emulator/test/device_ints.h"
#include "tests/support/emulator/test/right.cuh"

namespace tandem::emulator::test {

namespace {

class RightKernel : public testing::TestWithParam<Order> {
protected:
    void SetUp() override { set_order(GetParam()); }
    void TearDown() override {
        EXPECT_EQ(queue.fault(), "");
        set_order(Order::Forward);
    }
    /// Numbers between -2 and 2, as T has them.
    template <class T>
    std::vector<std::uint16_t> halves(std::size_t count) {
        std::uniform_real_distribution<float> uniform(-2.0F, 2.0F);
        std::vector<std::uint16_t> out(count);
        for (auto& x : out) x = T(uniform(random)).bits;
        return out;
    }
    template <class T>
    static float value(std::uint16_t bits) {
        return static_cast<float>(std::bit_cast<T>(bits));
    }
    /// d [m, n] = a [m, k] b [k, n] + 1
    template <class T>
    static std::vector<float> product(const std::vector<std::uint16_t>& a, const std::vector<std::uint16_t>& b, std::size_t m,
                                      std::size_t n, std::size_t k) {
        std::vector<float> d(m * n);
        for (std::size_t i = 0; i < m; ++i)
            for (std::size_t j = 0; j < n; ++j) {
                double sum = 1.0;
                for (std::size_t l = 0; l < k; ++l)
                    sum += static_cast<double>(value<T>(a[i * k + l])) * static_cast<double>(value<T>(b[l * n + j]));
                d[i * n + j] = static_cast<float>(sum);
            }
        return d;
    }
    static void expect_near(const std::vector<float>& got, const std::vector<float>& wanted) {
        ASSERT_EQ(got.size(), wanted.size());
        for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-5F) << i;
    }
    template <class T>
    void expect_mma(cuda::Element type) {
        const auto a = halves<T>(256), b = halves<T>(128);
        const OnDevice<std::uint16_t> on_a(a), on_b(b);
        const OnDevice<float> d(std::vector<float>(128, 1.0F));
        expect_ok(launch_mma(type, on_a.data, on_b.data, d.data, queue.calls));
        expect_near(d.values(queue), product<T>(a, b, 16, 8, 16));
    }

    QueueOfOne queue;
    std::mt19937 random{7};
};

TEST_P(RightKernel, MatrixInstructions) {
    for (int i = 0; i < 4; ++i) {
        expect_mma<BFloat16>(cuda::Element::BF16);
        expect_mma<Float16>(cuda::Element::F16);
    }
}

TEST_P(RightKernel, MatricesLoadedByTheWarp) {
    const auto a = halves<BFloat16>(256), b = halves<BFloat16>(256);
    const OnDevice<std::uint16_t> on_a(a), on_b(b);
    const OnDevice<float> d(std::vector<float>(256, 1.0F));
    expect_ok(launch_ldmatrix(on_a.data, on_b.data, d.data, queue.calls));
    expect_near(d.values(queue), product<BFloat16>(a, b, 16, 16, 16));
}

TEST_P(RightKernel, Shuffles) {
    std::vector<std::int64_t> x(32);
    for (std::size_t l = 0; l < 32; ++l) x[l] = static_cast<std::int64_t>(l) << 40U | 0x12345678;
    const OnDevice<std::int64_t> on_x(x), y(128);
    expect_ok(launch_shuffles(on_x.data, y.data, queue.calls));
    const auto got = y.values(queue);
    for (std::size_t l = 0; l < 32; ++l) {
        EXPECT_EQ(got[l], x[31 - l]) << l;
        EXPECT_EQ(got[32 + l], x[l ^ 5U]) << l;
        EXPECT_EQ(got[64 + l], x[l < 3 ? l : l - 3]) << l;
        EXPECT_EQ(got[96 + l], x[l > 28 ? l : l + 3]) << l;
    }
}

TEST_P(RightKernel, Votes) {
    for (const unsigned votes : {0U, 1U, 0x80000000U, 0xa5a5a5a5U, 0xffffffffU}) {
        std::vector<int> x(32);
        for (unsigned l = 0; l < 32; ++l) x[l] = (votes >> l & 1U) != 0 ? static_cast<int>(l) + 256 : 0;
        const OnDevice<int> on_x(x);
        const OnDevice<unsigned> y(3);
        expect_ok(launch_votes(on_x.data, y.data, queue.calls));
        EXPECT_EQ(y.values(queue), (std::vector<unsigned>{votes, votes != 0, votes == 0xffffffffU}));
    }
}

TEST_P(RightKernel, Reductions) {
    for (const int threads : {32, 64, 96, 256, 1024}) {
        std::vector<float> x(static_cast<std::size_t>(threads));
        std::uniform_int_distribution<int> uniform(-100, 100);
        for (float& v : x) v = static_cast<float>(uniform(random));
        const OnDevice<float> on_x(x), y(2 * x.size());
        expect_ok(launch_reductions(threads, on_x.data, y.data, queue.calls));
        const float sum = std::accumulate(x.begin(), x.end(), 0.0F), largest = *std::ranges::max_element(x);
        const auto got = y.values(queue);
        for (std::size_t t = 0; t < x.size(); ++t) {
            EXPECT_EQ(got[2 * t], sum) << threads << " threads, thread " << t;
            EXPECT_EQ(got[2 * t + 1], largest) << threads << " threads, thread " << t;
        }
    }
}

TEST_P(RightKernel, Atomics) {
    const OnDevice<int> y(std::vector<int>(4, 0));
    expect_ok(launch_atomics(5, 96, y.data, queue.calls));
    EXPECT_EQ(y.values(queue), (std::vector<int>{480, 479, 31, 480}));
}

TEST_P(RightKernel, PrefixSums) {
    const OnDevice<int> x(counting(64)), y(64);
    expect_ok(launch_prefix_sums(x.data, y.data, queue.calls));
    const auto got = y.values(queue);
    for (int i = 0; i < 64; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i * (i + 1) / 2);
}

TEST_P(RightKernel, AsynchronousCopies) {
    for (const int tiles : {1, 2, 5}) {
        const int valid = tiles * 128 - 40;
        const OnDevice<int> x(counting(valid)), y(static_cast<std::size_t>(tiles) * 128);
        expect_ok(launch_pipeline(x.data, y.data, tiles, valid, queue.calls));
        std::vector<int> wanted = counting(valid);
        wanted.resize(static_cast<std::size_t>(tiles) * 128, 0);
        EXPECT_EQ(y.values(queue), wanted);
    }
}

TEST_P(RightKernel, GridOfThreeDimensions) {
    const OnDevice<int> x(std::vector<int>{1000}), y(12 * 32);
    expect_ok(launch_grid(x.data, y.data, queue.calls));
    const auto got = y.values(queue);
    for (int i = 0; i < 12 * 32; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], 1000 + i);
}

TEST_P(RightKernel, NoFalseAlarms) {
    const OnDevice<int> x(counting(64)), y(64);
    expect_ok(launch_innocent(x.data, y.data, queue.calls));
    EXPECT_EQ(y.values(queue), std::vector<int>(64, 1));
}

TEST_P(RightKernel, LaunchesFollowEachOther) {
    const OnDevice<int> y(100);
    for (int i = 0; i < 3; ++i) expect_ok(launch_fill(y.data, 100, i, queue.calls));
    EXPECT_EQ(y.values(queue), std::vector<int>(100, 2));
}

INSTANTIATE_TEST_SUITE_P(Emulator, RightKernel, testing::ValuesIn(kOrders), [](const auto& one) { return name(one.param); });

}  // namespace

}  // namespace tandem::emulator::test
