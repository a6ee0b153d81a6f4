// Element types, their rounding, and the counter-based generator.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/base/dtype.h"
#include "kernels/base/philox.h"
#include "kernels/base/random_normal.h"
#include "kernels/ref/values.h"

namespace tandem {

namespace {

template <class Half>
Half from_bits(std::uint32_t bits) {
    Half h;
    h.bits = static_cast<std::uint16_t>(bits);
    return h;
}

template <class Half>
class SixteenBits : public testing::Test {};
using Halves = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(SixteenBits, Halves);

/// The widest finite magnitude: the bit pattern before infinity.
template <class Half>
constexpr std::uint32_t kInfinity = std::is_same_v<Half, BFloat16> ? 0x7f80U : 0x7c00U;

TEST(StandardNormals, AreFunctionsOfTheirNumbers) {
    std::vector<double> all(3000);
    standard_normals(77, 5, 1'000'000'000'000, all);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto words = philox(77, 5, (1'000'000'000'000 + i) / 2);
        const double want = i % 2 == 0 ? standard_normal(words[0], words[1]) : standard_normal(words[2], words[3]);
        ASSERT_NEAR(all[i], want, 1e-13 * (1 + std::abs(want))) << i;
    }
    for (const std::size_t first : {1U, 2U, 511U, 1024U}) {
        std::vector<double> some(777);
        standard_normals(77, 5, 1'000'000'000'000 + first, some);
        for (std::size_t i = 0; i < some.size(); ++i) ASSERT_EQ(some[i], all[first + i]) << first << " + " << i;
    }
}

}  // namespace

TYPED_TEST(SixteenBits, EveryPatternSurvivesFloat) {
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const auto h = from_bits<TypeParam>(bits);
        const auto value = static_cast<float>(h);
        if (std::isnan(value)) EXPECT_TRUE(std::isnan(static_cast<float>(TypeParam(value)))) << bits;
        else ASSERT_EQ(TypeParam(value).bits, bits);
        ASSERT_EQ(std::signbit(value), bits >= 0x8000U) << bits;
    }
}

TYPED_TEST(SixteenBits, RoundsToNearestAndTiesToEven) {
    for (std::uint32_t bits = 0; bits + 1 < kInfinity<TypeParam>; ++bits) {
        const auto low = static_cast<double>(static_cast<float>(from_bits<TypeParam>(bits)));
        const auto high = static_cast<double>(static_cast<float>(from_bits<TypeParam>(bits + 1)));
        const auto middle = static_cast<float>(0.5 * (low + high));  // exact
        const auto even = bits % 2 == 0 ? bits : bits + 1;
        ASSERT_EQ(TypeParam(middle).bits, even) << "between " << low << " and " << high;
        ASSERT_EQ(TypeParam(-middle).bits, even | 0x8000U);
        ASSERT_EQ(TypeParam(std::nextafter(middle, 0.0F)).bits, bits);
        ASSERT_EQ(TypeParam(std::nextafter(middle, std::numeric_limits<float>::infinity())).bits, bits + 1);
    }
}

TYPED_TEST(SixteenBits, OverflowIsInfinity) {
    const double largest = static_cast<double>(static_cast<float>(from_bits<TypeParam>(kInfinity<TypeParam> - 1)));
    const double before = static_cast<double>(static_cast<float>(from_bits<TypeParam>(kInfinity<TypeParam> - 2)));
    const double limit = largest + 0.5 * (largest - before);  // a tie between the largest and what would follow: odd, so up
    EXPECT_EQ(ref::round_to<TypeParam>(limit).bits, kInfinity<TypeParam>);
    EXPECT_EQ(ref::round_to<TypeParam>(std::nextafter(limit, 0.0)).bits, kInfinity<TypeParam> - 1);
    EXPECT_EQ(TypeParam(std::numeric_limits<float>::infinity()).bits, kInfinity<TypeParam>);
    EXPECT_EQ(ref::round_to<TypeParam>(-1e300).bits, kInfinity<TypeParam> | 0x8000U);
}

TYPED_TEST(SixteenBits, DoublesAreRoundedOnce) {
    for (std::uint32_t bits = 0; bits + 1 < kInfinity<TypeParam>; bits += 7) {
        const auto low = static_cast<double>(static_cast<float>(from_bits<TypeParam>(bits)));
        const auto high = static_cast<double>(static_cast<float>(from_bits<TypeParam>(bits + 1)));
        const double middle = 0.5 * (low + high);
        // So near the tie that a float sees the tie itself.
        ASSERT_EQ(ref::round_to<TypeParam>(std::nextafter(middle, high)).bits, bits + 1);
        ASSERT_EQ(ref::round_to<TypeParam>(std::nextafter(middle, low)).bits, bits);
        ASSERT_EQ(ref::round_to<TypeParam>(middle).bits, bits % 2 == 0 ? bits : bits + 1);
    }
    EXPECT_TRUE(std::isnan(ref::load(ref::round_to<TypeParam>(std::nan("")))));
}

TEST(DTypes, NamesAndSizes) {
    EXPECT_EQ(name(DType::BF16), "bf16");
    EXPECT_EQ(size_of(DType::BF16), 2U);
    EXPECT_EQ(size_of(DType::I64), 8U);
    EXPECT_EQ(accumulation_type(DType::BF16), DType::F32);
    EXPECT_EQ(accumulation_type(DType::F64), DType::F64);
    EXPECT_THROW(dispatch_float(DType::I32, [](auto) {}), Error);
}

// The known answers of Random123 1.14 (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
    using Words = std::array<std::uint32_t, 4>;
    EXPECT_EQ(philox(0, 0, 0), (Words{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U}));
    constexpr std::uint64_t ones = ~std::uint64_t{0};
    EXPECT_EQ(philox(ones, ones, ones), (Words{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU}));
    EXPECT_EQ(philox(0x299f31d0a4093822U, 0x0370734413198a2eU, 0x85a308d3243f6a88U),
              (Words{0xd16cfe09U, 0x94fdcceb, 0x5001e420U, 0x24126ea1U}));
}

TEST(Philox, Distributions) {
    EXPECT_EQ(uniform01(0), 0.0F);
    EXPECT_LT(uniform01(~0U), 1.0F);
    double sum = 0.0;
    double squares = 0.0;
    constexpr int n = 100000;
    for (int i = 0; i < n; ++i) {
        const auto words = philox(7, 3, static_cast<std::uint64_t>(i));
        const double x = standard_normal(words[0], words[1]);
        ASSERT_TRUE(std::isfinite(x));
        sum += x;
        squares += x * x;
    }
    EXPECT_NEAR(sum / n, 0.0, 0.01);  // three standard errors
    EXPECT_NEAR(squares / n, 1.0, 0.015);
    EXPECT_TRUE(std::isfinite(standard_normal(0, 0)));
}

}  // namespace tandem
