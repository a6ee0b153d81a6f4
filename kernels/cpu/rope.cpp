#include "kernels/ops/rope.h"

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

namespace {

/// One token's heads, and the angle by which their pairs (j, j + half) are turned; sign -1 turns back.
struct Turn {
    std::byte* x;
    std::int64_t heads, head_dim, half;
    const float *cos, *sin;
    float sign;
};

template <class T>
TANDEM_INLINE void turn(const Turn& by) {
    for (std::int64_t h = 0; h < by.heads; ++h) {
        T* low = reinterpret_cast<T*>(by.x) + h * by.head_dim;
        T* high = low + by.half;
#pragma omp simd
        for (std::int64_t j = 0; j < by.half; ++j) {
            const float a = widen(low[j]);
            const float b = widen(high[j]);
            const float c = by.cos[j];
            const float s = by.sign * by.sin[j];
            narrow(a * c - b * s, low[j]);
            narrow(b * c + a * s, high[j]);
        }
    }
}

}  // namespace

TANDEM_CLONES void turn_fp32(const Turn& by) { turn<float>(by); }
TANDEM_CLONES void turn_bf16(const Turn& by) { turn<std::uint16_t>(by); }
TANDEM_CLONES void turn_fp16(const Turn& by) { turn<Float16>(by); }

}  // namespace cpu

void CpuBackend::rope(Context&, Rotation rotation, const Tensor& cos, const Tensor& sin, const Tensor& positions, const Tensor& x) {
    cpu::require_computable(x);
    const auto* position = positions.data<std::int32_t>();
    for (std::int64_t i = 0; i < x.extent(0); ++i) {
        if (position[i] < 0 || position[i] >= cos.extent(0))
            fail(Failure::Run, "rope: position {} of token {} is outside the table of {} positions", position[i], i, cos.extent(0));
    }
    const float sign = rotation == Rotation::Forward ? 1.0F : -1.0F;
    const auto turn = cpu::by_type(x.dtype(), cpu::turn_fp32, cpu::turn_bf16, cpu::turn_fp16);
    cpu::parallel_for(threads_, x.extent(0), [&](std::int64_t i) {
        turn({cpu::element(x, i, 0), x.extent(1), x.extent(2), cos.extent(1), cpu::element<float>(cos, position[i], 0),
              cpu::element<float>(sin, position[i], 0), sign});
    });
}

}  // namespace tandem
