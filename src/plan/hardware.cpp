#include "src/plan/hardware.h"

namespace tandem {

double Gpu::matmul_rate(DType type) const {
    constexpr double kTera = 1e12, kSustained = 0.85, kFp32Share = 0.25;
    double specified = bf16_tflops;
    if (type == DType::F16) specified = fp16_tflops.value_or(bf16_tflops);
    if (type == DType::F32) specified = fp32_tflops.value_or(bf16_tflops * kFp32Share);
    const double share = sustained_tflops ? *sustained_tflops / bf16_tflops : kSustained;
    return specified * share * kTera;
}

}  // namespace tandem
