#include "kernels/base/dtype.h"

namespace tandem {

std::string_view name(DType t) {
    switch (t) {
        case DType::F64: return "fp64";
        case DType::F32: return "fp32";
        case DType::BF16: return "bf16";
        case DType::F16: return "fp16";
        case DType::I64: return "int64";
        case DType::I32: return "int32";
        case DType::U8: return "uint8";
    }
    return "?";
}

Float16::Float16(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const auto sign = (u >> 16U) & 0x8000U;
    const auto magnitude = u & 0x7fffffffU;
    std::uint32_t half = 0;
    if (magnitude > 0x7f800000U) {
        half = 0x7e00U;  // NaN
    } else if (magnitude >= 0x477ff000U) {
        half = 0x7c00U;  // rounds to at least 65520: infinity
    } else if (magnitude < 0x38800000U) {
        // Subnormal: adding 0.5 aligns the binary point so that the FPU does the rounding.
        const float aligned = std::bit_cast<float>(magnitude) + 0.5F;
        half = std::bit_cast<std::uint32_t>(aligned) - 0x3f000000U;
    } else {
        const auto odd = (magnitude >> 13U) & 1U;
        half = (magnitude - 0x38000000U + 0xfffU + odd) >> 13U;
    }
    bits = static_cast<std::uint16_t>(sign | half);
}

Float16::operator float() const {
    const std::uint32_t sign = (static_cast<std::uint32_t>(bits) & 0x8000U) << 16U;
    const std::uint32_t exponent = (bits >> 10U) & 0x1fU;
    const std::uint32_t mantissa = bits & 0x3ffU;
    if (exponent == 0x1fU) return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13U));
    if (exponent == 0) {
        const float tiny = static_cast<float>(mantissa) * 0x1p-24F;
        return std::bit_cast<float>(std::bit_cast<std::uint32_t>(tiny) | sign);
    }
    return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (mantissa << 13U));
}

}  // namespace tandem
