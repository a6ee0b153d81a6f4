#include "kernels/cpu/convert.h"

#include <cstring>

#include "kernels/cpu/simd.h"

namespace tandem::cpu {

TANDEM_CLONES void widen_bf16(const std::uint16_t* x, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = widen(x[i]);
}

TANDEM_CLONES void narrow_bf16(const float* x, std::uint16_t* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = narrow(x[i]);
}

void widen(DType type, const void* x, float* y, std::int64_t n) {
    switch (type) {
        case DType::BF16: widen_bf16(static_cast<const std::uint16_t*>(x), y, n); return;
        case DType::F32: std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(float)); return;
        case DType::F16: {
            const auto* half = static_cast<const Float16*>(x);
            for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(half[i]);
            return;
        }
        default: fail(Failure::Run, "the cpu backend computes in fp32 and bf16, not in {}", name(type));
    }
}

void narrow(DType type, const float* x, void* y, std::int64_t n) {
    switch (type) {
        case DType::BF16: narrow_bf16(x, static_cast<std::uint16_t*>(y), n); return;
        case DType::F32: std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(float)); return;
        case DType::F16: {
            auto* half = static_cast<Float16*>(y);
            for (std::int64_t i = 0; i < n; ++i) half[i] = Float16(x[i]);
            return;
        }
        default: fail(Failure::Run, "the cpu backend computes in fp32 and bf16, not in {}", name(type));
    }
}

void require_computable(const Tensor& x) {
    if (x.dtype() == DType::F32 || x.dtype() == DType::BF16 || x.dtype() == DType::F16) return;
    fail(Failure::Run, "the cpu backend computes in fp32 and bf16, but met {}; set device.backend=ref for other types", x.str());
}

}  // namespace tandem::cpu
