// How inner loops reach the vector units of whatever processor runs them: in functions marked TANDEM_CLONES. Everything below is
// inlined into such copies and is written without branches, so that loops over it vectorise.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/base/clones.h"

namespace tandem::cpu {

// Vectors of the compiler's own, for loops whose accumulators must stay in registers: each becomes one, two or four
// registers, whatever the processor has. Passed by reference only: a call by value would depend on the instruction set.
inline constexpr std::int64_t kLanes = 16;
using Vector = float __attribute__((vector_size(kLanes * sizeof(float)), may_alias));
using UnalignedVector = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

TANDEM_INLINE float widen(float x) { return x; }
TANDEM_INLINE float widen(std::uint16_t bf16) { return std::bit_cast<float>(static_cast<std::uint32_t>(bf16) << 16U); }

/// Round to nearest even; NaN stays NaN.
TANDEM_INLINE std::uint16_t narrow(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (u + 0x7fffU + ((u >> 16U) & 1U)) >> 16U;
    const std::uint32_t nan = (u >> 16U) | 0x40U;
    return static_cast<std::uint16_t>((u & 0x7fffffffU) > 0x7f800000U ? nan : rounded);
}

TANDEM_INLINE float round_to_bf16(float value) { return widen(narrow(value)); }

TANDEM_INLINE void load_vector(const float* x, Vector& y) { y = *reinterpret_cast<const UnalignedVector*>(x); }

TANDEM_INLINE void load_vector(const std::uint16_t* bf16, Vector& y) {
    using Halves = std::uint16_t __attribute__((vector_size(kLanes * sizeof(std::uint16_t)), aligned(2), may_alias));
    using Words = std::uint32_t __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));
    y = reinterpret_cast<Vector>(__builtin_convertvector(*reinterpret_cast<const Halves*>(bf16), Words) << 16U);
}

/// e^x to 2 ulp for x in [-87.3, 88.3]; 0 below, infinity above, NaN for NaN. Reduction by multiples of log 2 and the
/// polynomial of Cephes' expf.
TANDEM_INLINE float exp_fast(float x) {
    const float bounded = x > 88.8F ? 88.8F : x;
    const float shifted = bounded * 1.44269504F + 12582912.0F;  // 1.5 * 2^23: the integer part lands in the low mantissa bits
    const float n = shifted - 12582912.0F;
    const float r = (bounded - n * 0.693359375F) + n * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) - 0x4B400000U + 127U) << 23U;
    const float result = p * std::bit_cast<float>(exponent);
    return x < -87.3F ? 0.0F : result;
}

TANDEM_INLINE float logistic_fast(float x) { return 1.0F / (1.0F + exp_fast(-x)); }

/// tanh to about 3 ulp: Cephes' odd polynomial near zero, where 1 - 2 / (1 + e^2x) would lose digits.
TANDEM_INLINE float tanh_fast(float x) {
    const float z = x * x;
    float p = -5.70498872745e-3F;
    p = p * z + 2.06390887954e-2F;
    p = p * z - 5.37397155531e-2F;
    p = p * z + 1.33314422036e-1F;
    p = p * z - 3.33332819422e-1F;
    const float near = p * z * x + x;
    const float far = 1.0F - 2.0F / (1.0F + exp_fast(2.0F * x));
    return z < 0.390625F ? near : far;
}

}  // namespace tandem::cpu
