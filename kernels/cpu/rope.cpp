#include "kernels/ops/rope.h"

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

// One token: every head's pairs (j, j + half) turned by the angle whose cosines and sines are given; sign -1 turns back.
TANDEM_CLONES void rope_token_fp32(float* x, std::int64_t heads, std::int64_t head_dim, std::int64_t half, const float* cos,
                                   const float* sin, float sign) {
    for (std::int64_t h = 0; h < heads; ++h) {
        float* low = x + h * head_dim;
        float* high = low + half;
#pragma omp simd
        for (std::int64_t j = 0; j < half; ++j) {
            const float a = low[j];
            const float b = high[j];
            const float s = sign * sin[j];
            low[j] = a * cos[j] - b * s;
            high[j] = b * cos[j] + a * s;
        }
    }
}

TANDEM_CLONES void rope_token_bf16(std::uint16_t* x, std::int64_t heads, std::int64_t head_dim, std::int64_t half, const float* cos,
                                   const float* sin, float sign) {
    for (std::int64_t h = 0; h < heads; ++h) {
        std::uint16_t* low = x + h * head_dim;
        std::uint16_t* high = low + half;
#pragma omp simd
        for (std::int64_t j = 0; j < half; ++j) {
            const float a = widen(low[j]);
            const float b = widen(high[j]);
            const float s = sign * sin[j];
            low[j] = narrow(a * cos[j] - b * s);
            high[j] = narrow(b * cos[j] + a * s);
        }
    }
}

}  // namespace cpu

void CpuBackend::rope(Context&, Rotation rotation, const Tensor& cos, const Tensor& sin, const Tensor& positions, const Tensor& x) {
    if (!supports(x.dtype())) fail(Failure::Run, "rope: the cpu backend computes in fp32 and bf16, but x is {}", x.str());
    const auto* position = positions.data<std::int32_t>();
    for (std::int64_t i = 0; i < x.extent(0); ++i) {
        if (position[i] < 0 || position[i] >= cos.extent(0))
            fail(Failure::Run, "rope: position {} of token {} is outside the table of {} positions", position[i], i, cos.extent(0));
    }
    const float sign = rotation == Rotation::Forward ? 1.0F : -1.0F;
    const std::int64_t half = cos.extent(1);
    cpu::parallel_for(threads_, x.extent(0), [&](std::int64_t i) {
        const float* c = cpu::element<float>(cos, position[i], 0);
        const float* s = cpu::element<float>(sin, position[i], 0);
        if (x.dtype() == DType::F32) cpu::rope_token_fp32(cpu::element<float>(x, i, 0), x.extent(1), x.extent(2), half, c, s, sign);
        else cpu::rope_token_bf16(cpu::element<std::uint16_t>(x, i, 0), x.extent(1), x.extent(2), half, c, s, sign);
    });
}

}  // namespace tandem
