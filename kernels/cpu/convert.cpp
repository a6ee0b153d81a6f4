#include "kernels/cpu/convert.h"

#include <cstring>

#include "kernels/cpu/simd.h"

namespace tandem::cpu {

namespace {

template <class T>
TANDEM_INLINE void widen_all(const T* x, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = widen(x[i]);
}

template <class T>
TANDEM_INLINE void narrow_all(const float* x, T* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) narrow(x[i], y[i]);
}

}  // namespace

void widen_fp32(const void* x, float* y, std::int64_t n) { std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(float)); }
TANDEM_CLONES void widen_bf16(const void* x, float* y, std::int64_t n) { widen_all(static_cast<const std::uint16_t*>(x), y, n); }
TANDEM_CLONES void widen_fp16(const void* x, float* y, std::int64_t n) { widen_all(static_cast<const Float16*>(x), y, n); }

void narrow_fp32(const float* x, void* y, std::int64_t n) { std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(float)); }
TANDEM_CLONES void narrow_bf16(const float* x, void* y, std::int64_t n) { narrow_all(x, static_cast<std::uint16_t*>(y), n); }
TANDEM_CLONES void narrow_fp16(const float* x, void* y, std::int64_t n) { narrow_all(x, static_cast<Float16*>(y), n); }

void widen(DType type, const void* x, float* y, std::int64_t n) { by_type(type, widen_fp32, widen_bf16, widen_fp16)(x, y, n); }
void narrow(DType type, const float* x, void* y, std::int64_t n) { by_type(type, narrow_fp32, narrow_bf16, narrow_fp16)(x, y, n); }

void require_computable(const Tensor& x) {
    if (x.dtype() == DType::F32 || x.dtype() == DType::BF16 || x.dtype() == DType::F16) return;
    fail(Failure::Run, "the cpu backend computes in fp32, bf16 and fp16, but met {}; set device.backend=ref for other types", x.str());
}

}  // namespace tandem::cpu
