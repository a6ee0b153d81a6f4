// The cuda backend beyond the table of cases: memory, order, alignment, rounding, large sizes, and what it says it cannot do.
// Every test skips, saying why, where there is no GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "tests/kernels/cuda_device.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

class Cuda : public testing::Test {
protected:
    void SetUp() override {
        if (const auto reason = why_no_cuda(); !reason.empty()) GTEST_SKIP() << reason;
    }
    static std::vector<double> counting(std::int64_t n, double step = 1.0) {
        std::vector<double> numbers(static_cast<std::size_t>(n));
        for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = step * static_cast<double>(i);
        return numbers;
    }
};

/// Arbitrary fp32 bit patterns: every exponent, infinities, NaN.
std::vector<double> patterns(std::size_t n) {
    std::vector<double> numbers(n);
    for (std::size_t i = 0; i < n; ++i) numbers[i] = static_cast<double>(std::bit_cast<float>(philox(7, 0, i)[0]));
    return numbers;
}

template <class T>
void expect_rounding(Device& device, DType narrow) {
    const auto numbers = patterns(100003);
    const auto n = static_cast<std::int64_t>(numbers.size());
    const Tensor x = device.tensor({n}, DType::F32, numbers);
    const Tensor y = device.filled({n}, narrow, 0);
    ops::cast(device.context(), x, y);
    const auto got = device.numbers(y);
    for (std::size_t i = 0; i < got.size(); ++i) {
        const auto want = static_cast<double>(static_cast<float>(T(static_cast<float>(numbers[i]))));
        if (std::isnan(want)) ASSERT_TRUE(std::isnan(got[i])) << numbers[i];
        else ASSERT_EQ(got[i], want) << numbers[i] << " as " << name(narrow);
    }
}

}  // namespace

/// Which one launch/gpu-check's report is about; its cases are among those of test_conformance.cpp.
TEST_F(Cuda, HasCudnn) {
    if (const auto reason = why_no_cudnn(); !reason.empty()) GTEST_SKIP() << reason;
    fmt::print("{}\n", make_cuda({.attention = AttentionKernels::Cudnn})->description());
}

TEST_F(Cuda, SaysWhatItIs) {
    const auto backend = make_cuda();
    EXPECT_EQ(backend->name(), "cuda");
    EXPECT_NE(backend->description().find("sm_"), std::string::npos) << backend->description();
    EXPECT_TRUE(backend->supports(DType::BF16));
    EXPECT_FALSE(backend->supports(DType::F64));
}

TEST_F(Cuda, CopiesThereAndBack) {
    Device device(make_cuda());
    const Tensor whole = device.filled({5, 7}, DType::F32, -1);
    const Tensor view = whole.columns(2, 5);
    const auto values = counting(15);
    const auto bytes = encode(values, DType::F32);
    device.context().backend.copy_from_host(device.context().stream, bytes.data(), view);
    EXPECT_EQ(device.numbers(view), values);
    const auto all = device.numbers(whole);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const bool inside = i % 7 >= 2 && i % 7 < 5;
        EXPECT_EQ(all[i], inside ? static_cast<double>(3 * (i / 7) + i % 7 - 2) : -1.0) << i;
    }
}

TEST_F(Cuda, ARefusedReservationNamesNeedAndHave) {
    const auto backend = make_cuda();
    try {
        backend->reserve(std::size_t{1} << 50U);
        ADD_FAILURE() << "a pebibyte was reserved";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::OutOfMemory);
        for (const char* part : {"1125899906842624 bytes", "are free"})
            EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << part << " in: " << error.what();
    }
    void* base = backend->reserve(1 << 20);  // the device goes on
    EXPECT_NE(base, nullptr);
    backend->unreserve(base, 1 << 20);
    base = backend->reserve(0);
    EXPECT_NE(base, nullptr);
    backend->unreserve(base, 0);
}

TEST_F(Cuda, EventsOrderStreams) {
    Device device(make_cuda());
    Backend& backend = device.context().backend;
    const auto second = backend.make_stream();
    const auto done = backend.make_event();
    Context other{backend, *second, device.context().workspace};
    constexpr std::int64_t kSize = 2048;
    const Tensor a = device.filled({kSize, kSize}, DType::F32, 1);
    const Tensor c = device.filled({kSize, kSize}, DType::F32, 0);
    const Tensor sum = device.filled({kSize, kSize}, DType::F32, 0);
    for (int i = 0; i < 8; ++i) ops::matmul(device.context(), a, a, c, 1.0, Write::Accumulate);
    device.context().stream.record(*done);
    second->wait(*done);
    ops::axpy(other, 1.0, c, sum);  // reads all eight products, or the sum is smaller
    second->synchronize();
    EXPECT_TRUE(done->done());
    EXPECT_EQ(device.numbers(sum), std::vector<double>(kSize * kSize, 8.0 * kSize));
}

TEST_F(Cuda, RoundsToNearestEven) {
    Device device(make_cuda());
    expect_rounding<BFloat16>(device, DType::BF16);
    expect_rounding<Float16>(device, DType::F16);
}

TEST_F(Cuda, EveryAlignmentAndTail) {
    Device device(make_cuda());
    const Tensor x = device.tensor({64}, DType::BF16, counting(64));
    for (std::int64_t first = 0; first < 9; ++first) {
        for (const std::int64_t last : {first + 1, first + 8, first + 17, std::int64_t{64}}) {
            const Tensor y = device.filled({64}, DType::F32, -1);
            ops::cast(device.context(), x.rows(first, last), y.rows(first, last));
            const auto got = device.numbers(y);
            for (std::int64_t i = 0; i < 64; ++i)
                ASSERT_EQ(got[static_cast<std::size_t>(i)], i >= first && i < last ? static_cast<double>(i) : -1.0) << first << " " << last;
        }
    }
}

TEST_F(Cuda, ManyElementsAndManyRows) {
    Device device(make_cuda());
    const std::int64_t n = (std::int64_t{1} << 24U) + 5;
    const Tensor x = device.filled({n}, DType::BF16, 3);
    const Tensor y = device.filled({n}, DType::BF16, 4);
    ops::add(device.context(), x, y, y);
    EXPECT_EQ(device.numbers(y), std::vector<double>(static_cast<std::size_t>(n), 7.0));

    const Tensor tall = device.filled({70000, 20}, DType::F32, 1);  // more rows than a grid is high
    const Tensor ones = device.filled({70000, 3}, DType::F32, 1);
    ops::axpy(device.context(), 2.0, ones, tall.columns(4, 7));
    const auto got = device.numbers(tall);
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], i % 20 >= 4 && i % 20 < 7 ? 3.0 : 1.0) << i;
}

TEST_F(Cuda, Fp32IsNotRoundedToTf32) {
    Device device(make_cuda());
    const Tensor a = device.filled({256, 256}, DType::F32, 1 + 0x1p-12);  // TF32 keeps ten bits
    const Tensor b = device.filled({256, 256}, DType::F32, 1);
    const Tensor c = device.filled({256, 256}, DType::F32, 0);
    ops::matmul(device.context(), a, b, c);
    EXPECT_EQ(device.numbers(c), std::vector<double>(256 * 256, 256 * (1 + 0x1p-12)));
}

TEST_F(Cuda, ProductsOfUnalignedViews) {
    Device device(make_cuda());
    Device reference;
    for (const DType type : {DType::F32, DType::BF16, DType::F16}) {
        for (const std::int64_t first : {0, 1, 2, 4, 8}) {
            const auto product = [&](Device& d) {
                const Tensor a = d.random({96, 140}, type, 1).columns(first, first + 128);
                const Tensor b = d.random({112, 133}, type, 2).columns(first / 2, first / 2 + 128);
                const Tensor c = d.filled({96, 121}, type, 0).columns(first, first + 112);
                ops::matmul(d.context(), {a}, transposed(b), c, 0.125);
                return d.numbers(c);
            };
            const auto got = product(device), want = product(reference);
            const double bound = type == DType::F32 ? 1e-5 : type == DType::F16 ? 0x1p-10 : 0x1p-7;
            for (std::size_t i = 0; i < want.size(); ++i)
                ASSERT_NEAR(got[i], want[i], bound * (std::abs(want[i]) + 1.5)) << name(type) << " from column " << first;
        }
    }
}

TEST_F(Cuda, OtherTypesAreRefused) {
    Device device(make_cuda());
    const Tensor x = device.filled({4, 4}, DType::F64, 1);
    const Tensor y = device.filled({4, 4}, DType::F64, 1);
    const Tensor z = device.filled({4, 4}, DType::F32, 1);
    const auto refusal = [](const auto& op) {
        try {
            op();
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("nothing was thrown");
    };
    EXPECT_NE(refusal([&] { ops::matmul(device.context(), x, x, y); }).find("matmul: the cuda backend"), std::string::npos);
    EXPECT_NE(refusal([&] { ops::axpy(device.context(), 1.0, x, z); }).find("axpy: the cuda backend"), std::string::npos);
}

}  // namespace tandem::test
