#include "kernels/ops/glu.h"

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

namespace {

constexpr float kGeluInner = 0.7978845608F;  // sqrt(2 / pi)
constexpr float kGeluCubic = 0.044715F;

/// u of gelu(g) = g / 2 (1 + tanh u).
TANDEM_INLINE float gelu_argument(float g) { return kGeluInner * (g + kGeluCubic * g * g * g); }

}  // namespace

TANDEM_CLONES void silu_piece(const float* gate, const float* up, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = gate[i] * logistic_fast(gate[i]) * up[i];
}

TANDEM_CLONES void gelu_piece(const float* gate, const float* up, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = 0.5F * gate[i] * (1.0F + tanh_fast(gelu_argument(gate[i]))) * up[i];
}

TANDEM_CLONES void silu_gradient_piece(const float* dy, const float* gate, const float* up, float* dgate, float* dup, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
        const float g = gate[i];
        const float u = up[i];
        const float s = logistic_fast(g);
        const float d = dy[i];
        dgate[i] = d * u * (s * (1.0F + g * (1.0F - s)));
        dup[i] = d * (g * s);
    }
}

TANDEM_CLONES void gelu_gradient_piece(const float* dy, const float* gate, const float* up, float* dgate, float* dup, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
        const float g = gate[i];
        const float u = up[i];
        const float d = dy[i];
        const float t = tanh_fast(gelu_argument(g));
        const float slope = kGeluInner * (1.0F + 3.0F * kGeluCubic * g * g);
        dgate[i] = d * u * (0.5F * (1.0F + t) + 0.5F * g * (1.0F - t * t) * slope);
        dup[i] = d * (0.5F * g * (1.0F + t));
    }
}

}  // namespace cpu

using cpu::Input;
using cpu::Output;
using cpu::Piece;

void CpuBackend::glu(Context&, Activation activation, const Tensor& gate, const Tensor& up, const Tensor& y) {
    cpu::require_computable(gate);
    const auto kernel = activation == Activation::SiLU ? cpu::silu_piece : cpu::gelu_piece;
    const auto piece = [&](const Piece& p) {
        Output out(y, p);
        kernel(Input(gate, p), Input(up, p), out, p.count);
        out.store();
    };
    cpu::for_pieces(threads_, piece, gate, up, y);
}

void CpuBackend::glu_backward(Context&, Activation activation, const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate,
                              const Tensor& dup) {
    cpu::require_computable(gate);
    const auto kernel = activation == Activation::SiLU ? cpu::silu_gradient_piece : cpu::gelu_gradient_piece;
    const auto piece = [&](const Piece& p) {
        Output dgate_out(dgate, p);
        Output dup_out(dup, p);
        kernel(Input(dy, p), Input(gate, p), Input(up, p), dgate_out, dup_out, p.count);
        dgate_out.store();
        dup_out.store();
    };
    cpu::for_pieces(threads_, piece, dy, gate, up, dgate, dup);
}

}  // namespace tandem
