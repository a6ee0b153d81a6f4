// Element types, and the host's arithmetic-free representations of the 16-bit ones.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "kernels/base/error.h"

namespace tandem {

enum class DType : std::uint8_t { F64, F32, BF16, F16, I64, I32, U8 };

/// bfloat16: the upper half of an IEEE binary32.
struct BFloat16 {
    std::uint16_t bits = 0;
    BFloat16() = default;
    /// Rounds to nearest, ties to even; NaN stays NaN.
    explicit BFloat16(float value) {
        auto u = std::bit_cast<std::uint32_t>(value);
        if ((u & 0x7fffffffU) > 0x7f800000U) {
            bits = static_cast<std::uint16_t>((u >> 16U) | 0x40U);
        } else {
            u += 0x7fffU + ((u >> 16U) & 1U);
            bits = static_cast<std::uint16_t>(u >> 16U);
        }
    }
    explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U); }
};

/// IEEE binary16.
struct Float16 {
    std::uint16_t bits = 0;
    Float16() = default;
    /// Rounds to nearest, ties to even; overflow gives infinity.
    explicit Float16(float value);
    explicit operator float() const;
};

[[nodiscard]] constexpr std::size_t size_of(DType t) {
    switch (t) {
        case DType::F64:
        case DType::I64: return 8;
        case DType::F32:
        case DType::I32: return 4;
        case DType::BF16:
        case DType::F16: return 2;
        case DType::U8: return 1;
    }
    return 0;
}

/// "fp64", "fp32", "bf16", "fp16", "int64", "int32", "uint8": the names used in the configuration and in messages.
[[nodiscard]] std::string_view name(DType t);

[[nodiscard]] constexpr bool is_float(DType t) { return t == DType::F64 || t == DType::F32 || t == DType::BF16 || t == DType::F16; }

/// The type in which sums over `t` are kept: master weights, gradients, moments, statistics.
[[nodiscard]] constexpr DType accumulation_type(DType t) { return t == DType::F64 ? DType::F64 : DType::F32; }

template <class T>
struct TypeTag {
    using type = T;
};

template <class T>
constexpr DType dtype_of() {
    if constexpr (std::is_same_v<T, double>) return DType::F64;
    else if constexpr (std::is_same_v<T, float>) return DType::F32;
    else if constexpr (std::is_same_v<T, BFloat16>) return DType::BF16;
    else if constexpr (std::is_same_v<T, Float16>) return DType::F16;
    else if constexpr (std::is_same_v<T, std::int64_t>) return DType::I64;
    else if constexpr (std::is_same_v<T, std::int32_t>) return DType::I32;
    else {
        static_assert(std::is_same_v<T, std::uint8_t>);
        return DType::U8;
    }
}

/// Calls `f(TypeTag<T>{})` with the C++ type of the floating-point `t`; anything else is an error.
template <class F>
decltype(auto) dispatch_float(DType t, F&& f) {
    switch (t) {
        case DType::F64: return f(TypeTag<double>{});
        case DType::F32: return f(TypeTag<float>{});
        case DType::BF16: return f(TypeTag<BFloat16>{});
        case DType::F16: return f(TypeTag<Float16>{});
        default: fail(Failure::Run, "a floating-point type is needed here, not {}", name(t));
    }
}

}  // namespace tandem
