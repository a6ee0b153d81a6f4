#include "kernels/base/random_normal.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "kernels/base/clones.h"
#include "kernels/base/philox.h"

namespace tandem {
namespace {

constexpr std::size_t kPairs = 256;  ///< at a time

/// log of x, positive and normal: x = 2^e m with m around 1, log m = 2 atanh((m - 1) / (m + 1)).
TANDEM_INLINE double log_positive(double x) {
    const auto bits = std::bit_cast<std::uint64_t>(x);
    // Adding the distance from sqrt(1/2) to 1 carries into the exponent exactly where m would exceed sqrt(2).
    const std::uint64_t shifted = bits + (0x3FF0000000000000U - 0x3FE6A09E667F3BCDU);
    const std::uint64_t biased = shifted >> 52U;
    // 2^52 + n as a double has n in its low bits: conversion without an instruction for it.
    const double e = std::bit_cast<double>(0x4330000000000000U | biased) - (0x1p52 + 1023.0);
    const double m = std::bit_cast<double>(bits - ((biased - 1023U) << 52U));
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double p = 1.0 / 19.0;
    for (const double n : {17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0}) p = p * z + 1.0 / n;
    return e * std::numbers::ln2 + 2.0 * s * p;
}

/// cos(2 pi v) for v in [0, 1): by quarters of the circle, each with the sine or cosine of at most pi / 4.
TANDEM_INLINE double cos_of_turn(double v) {
    const double shifted = v * 4.0 + 0x1.8p52;  // the number of the nearest quarter in the low bits
    const auto quarter = std::bit_cast<std::uint64_t>(shifted) & 3U;
    const double x = (v - (shifted - 0x1.8p52) * 0.25) * (2.0 * std::numbers::pi), z = x * x;
    double c = 1.0 / 20922789888000.0;  // 1 / 16!
    for (const double f : {-87178291200.0, 479001600.0, -3628800.0, 40320.0, -720.0, 24.0, -2.0, 1.0}) c = c * z + 1.0 / f;
    double s = -1.0 / 1307674368000.0;  // 1 / 15!
    for (const double f : {6227020800.0, -39916800.0, 362880.0, -5040.0, 120.0, -6.0, 1.0}) s = s * z + 1.0 / f;
    const double magnitude = (quarter & 1U) != 0 ? s * x : c;
    return quarter == 1 || quarter == 2 ? -magnitude : magnitude;
}

TANDEM_INLINE double normal(std::uint32_t a, std::uint32_t b) {
    const double u = (std::bit_cast<double>(0x4330000000000000U | a) - (0x1p52 - 1.0)) * 0x1p-32;  // (0, 1]
    const double v = (std::bit_cast<double>(0x4330000000000000U | b) - 0x1p52) * 0x1p-32;
    return __builtin_sqrt(-2.0 * log_positive(u)) * cos_of_turn(v);
}

/// Pairs [first, first + kPairs).
TANDEM_CLONES void draw_pairs(std::uint64_t key, std::uint64_t seed, std::uint64_t first, double* out) {
    std::array<std::array<std::uint32_t, kPairs>, 4> words;
#pragma omp simd
    for (std::size_t i = 0; i < kPairs; ++i) {
        const std::uint64_t counter = first + i;
        auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32U);
        auto c0 = static_cast<std::uint32_t>(counter), c1 = static_cast<std::uint32_t>(counter >> 32U);
        auto c2 = static_cast<std::uint32_t>(seed), c3 = static_cast<std::uint32_t>(seed >> 32U);
        // philox() of philox.h, in a form that vectorises.
        for (int round = 0; round < 10; ++round) {
            const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c0, p1 = std::uint64_t{0xCD9E8D57U} * c2;
            c0 = static_cast<std::uint32_t>(p1 >> 32U) ^ c1 ^ k0;
            c2 = static_cast<std::uint32_t>(p0 >> 32U) ^ c3 ^ k1;
            c1 = static_cast<std::uint32_t>(p1);
            c3 = static_cast<std::uint32_t>(p0);
            k0 += 0x9E3779B9U;
            k1 += 0xBB67AE85U;
        }
        words[0][i] = c0, words[1][i] = c1, words[2][i] = c2, words[3][i] = c3;
    }
#pragma omp simd
    for (std::size_t i = 0; i < kPairs; ++i) out[2 * i] = normal(words[0][i], words[1][i]);
#pragma omp simd
    for (std::size_t i = 0; i < kPairs; ++i) out[2 * i + 1] = normal(words[2][i], words[3][i]);
}

}  // namespace

void standard_normals(std::uint64_t key, std::uint64_t seed, std::uint64_t first, std::span<double> out) {
    std::array<double, 2 * kPairs> drawn{};
    for (std::uint64_t at = first, last = first + out.size(); at < last;) {
        const std::uint64_t pair = at / 2;
        draw_pairs(key, seed, pair, drawn.data());
        const std::uint64_t skipped = at - 2 * pair, count = std::min<std::uint64_t>(drawn.size() - skipped, last - at);
        std::copy_n(drawn.begin() + static_cast<std::ptrdiff_t>(skipped), count, out.begin() + static_cast<std::ptrdiff_t>(at - first));
        at += count;
    }
}

}  // namespace tandem
