// How inner loops reach the vector units of whatever processor runs them: in functions marked TANDEM_CLONES. Everything below is
// inlined into such copies and is written without branches, so that loops over it vectorise.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/base/clones.h"
#include "kernels/base/dtype.h"

namespace tandem::cpu {

// Vectors of the compiler's own, for loops whose accumulators must stay in registers: each becomes one, two or four
// registers, whatever the processor has. Passed by reference only: a call by value would depend on the instruction set.
inline constexpr std::int64_t kLanes = 16;
using Vector = float __attribute__((vector_size(kLanes * sizeof(float)), may_alias));
using UnalignedVector = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

using Halves = std::uint16_t __attribute__((vector_size(kLanes * sizeof(std::uint16_t)), aligned(2), may_alias));
using Words = std::uint32_t __attribute__((vector_size(kLanes * sizeof(std::uint32_t)), may_alias));

// Elements in memory are float, std::uint16_t (bf16) or Float16. The two 16-bit types' conversions are those of kernels/base/dtype.h, for
// one number or for the lanes of a vector at once.

/// The lower halves of words, as IEEE binary16, to binary32.
template <class Word, class Number>
TANDEM_INLINE void widen_halves(const Word& half, Number& value) {
    const Word magnitude = (half & 0x7fffU) << 13U;
    const Word exponent = magnitude & 0x0f800000U;
    const Word normal = magnitude + 0x38000000U;  // the exponent's bias becomes that of binary32
    // Subnormal: with a one before its mantissa it is off by what that one stands for.
    const Number below = __builtin_bit_cast(Number, normal + 0x00800000U) - 0x1p-14F;
    const Word special = exponent == 0x0f800000U ? normal + 0x38000000U : normal;  // infinity or NaN
    const Word number = exponent == 0U ? __builtin_bit_cast(Word, below) : special;
    value = __builtin_bit_cast(Number, number | (half & 0x8000U) << 16U);
}

/// Rounds to nearest even; overflow gives infinity, NaN a quiet NaN.
template <class Number, class Word>
TANDEM_INLINE void narrow_to_halves(const Number& value, Word& half) {
    const Word bits = __builtin_bit_cast(Word, value);
    const Word magnitude = bits & 0x7fffffffU;
    const Word normal = (magnitude - 0x38000000U + 0xfffU + ((magnitude >> 13U) & 1U)) >> 13U;
    // Subnormal: adding 0.5 aligns the binary point so that the FPU does the rounding.
    const Word below = __builtin_bit_cast(Word, __builtin_bit_cast(Number, magnitude) + 0.5F) - 0x3f000000U;
    const Word finite = magnitude < 0x38800000U ? below : normal;
    const Word none = magnitude ^ magnitude;
    const Word infinite = magnitude >= 0x477ff000U ? none + 0x7c00U : finite;
    half = (magnitude > 0x7f800000U ? none + 0x7e00U : infinite) | ((bits >> 16U) & 0x8000U);
}

TANDEM_INLINE float widen(float x) { return x; }
TANDEM_INLINE float widen(std::uint16_t bf16) { return std::bit_cast<float>(static_cast<std::uint32_t>(bf16) << 16U); }
TANDEM_INLINE float widen(Float16 x) {
    float value = 0.0F;
    widen_halves(std::uint32_t{x.bits}, value);
    return value;
}

/// y = value in the type of y, rounded to nearest even; NaN stays NaN.
TANDEM_INLINE void narrow(float value, float& y) { y = value; }
TANDEM_INLINE void narrow(float value, std::uint16_t& bf16) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (u + 0x7fffU + ((u >> 16U) & 1U)) >> 16U;
    const std::uint32_t nan = (u >> 16U) | 0x40U;
    bf16 = static_cast<std::uint16_t>((u & 0x7fffffffU) > 0x7f800000U ? nan : rounded);
}
TANDEM_INLINE void narrow(float value, Float16& y) {
    std::uint32_t half = 0;
    narrow_to_halves(value, half);
    y.bits = static_cast<std::uint16_t>(half);
}

/// The nearest number that T holds.
template <class T>
TANDEM_INLINE float round_to(float value) {
    T rounded;
    narrow(value, rounded);
    return widen(rounded);
}

TANDEM_INLINE void load_vector(const float* x, Vector& y) { y = *reinterpret_cast<const UnalignedVector*>(x); }
TANDEM_INLINE void load_vector(const std::uint16_t* bf16, Vector& y) {
    y = reinterpret_cast<Vector>(__builtin_convertvector(*reinterpret_cast<const Halves*>(bf16), Words) << 16U);
}
TANDEM_INLINE void load_vector(const Float16* x, Vector& y) {
    const Words half = __builtin_convertvector(*reinterpret_cast<const Halves*>(x), Words);
    widen_halves(half, y);
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
