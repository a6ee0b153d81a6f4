#include "kernels/ops/optimizer.h"

#include <cmath>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

TANDEM_CLONES double squares_fp64_piece(const float* x, std::int64_t n) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    return sum;
}

/// One step's scalars as the inner loop wants them.
struct AdamWStep {
    float grad_scale, decay, beta1, rest1, beta2, rest2, rate, inverse_bias, eps;  // rest = 1 - beta, exact before rounding
};

TANDEM_CLONES void adamw_piece(const AdamWStep& step, const float* grad, float* m, float* v, float* master, std::int64_t n) {
    const AdamWStep s = step;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
        const float g = s.grad_scale * grad[i];
        m[i] = s.beta1 * m[i] + s.rest1 * g;
        v[i] = s.beta2 * v[i] + s.rest2 * (g * g);
        master[i] = master[i] * s.decay - s.rate * m[i] / (__builtin_sqrtf(v[i]) * s.inverse_bias + s.eps);
    }
}

TANDEM_CLONES void sgd_piece(float decay, float rate, const float* grad, float* master, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) master[i] = master[i] * decay - rate * grad[i];
}

}  // namespace cpu

using cpu::Piece;

// Partial sums of fixed pieces, added in order: the same for every number of threads.
void CpuBackend::sum_of_squares(Context& ctx, const Tensor& x, const Tensor& sum) {
    cpu::require_computable(x);
    const std::int64_t n = x.elements();
    const Tensor flat = x.reshape({1, n});
    ArenaScope scope(ctx.workspace);
    const Tensor partial = cpu::take_partial_sums(ctx, n);
    const std::int64_t ranges = partial.extent(0);
    auto* partials = partial.data<double>();
    cpu::parallel_for(threads_, ranges, [&](std::int64_t r) {
        double range_sum = 0.0;
        for (std::int64_t j = r * cpu::kSumRange; j < std::min(n, (r + 1) * cpu::kSumRange); j += cpu::kPiece) {
            const Piece p{0, j, std::min(cpu::kPiece, n - j)};
            range_sum += cpu::squares_fp64_piece(cpu::Input(flat, p), p.count);
        }
        partials[r] = range_sum;
    });
    double total = 0.0;
    for (std::int64_t r = 0; r < ranges; ++r) total += partials[r];
    *sum.data<double>() += total;
}

void CpuBackend::clip_scale(Context&, const Tensor& sum, double max_norm, double inverse_tokens, const Tensor& norm, const Tensor& scale) {
    const double length = std::sqrt(*sum.data<double>()) * inverse_tokens;
    *norm.data<double>() = length;
    *scale.data<double>() = max_norm > 0.0 ? inverse_tokens * std::min(1.0, max_norm / (length + 1e-6)) : inverse_tokens;
}

void CpuBackend::adamw(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& m, const Tensor& v,
                       const Tensor& master) {
    cpu::require_computable(master);
    const auto t = static_cast<double>(params.step);
    const cpu::AdamWStep step{.grad_scale = static_cast<float>(*grad_scale.data<double>()),
                              .decay = static_cast<float>(1.0 - params.learning_rate * params.weight_decay),
                              .beta1 = static_cast<float>(params.beta1),
                              .rest1 = static_cast<float>(1.0 - params.beta1),
                              .beta2 = static_cast<float>(params.beta2),
                              .rest2 = static_cast<float>(1.0 - params.beta2),
                              .rate = static_cast<float>(params.learning_rate / (1.0 - std::pow(params.beta1, t))),
                              .inverse_bias = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(params.beta2, t))),
                              .eps = static_cast<float>(params.eps)};
    const auto piece = [&](const Piece& p) {
        cpu::adamw_piece(step, cpu::element<float>(grad, p.row, p.column), cpu::element<float>(m, p.row, p.column),
                         cpu::element<float>(v, p.row, p.column), cpu::element<float>(master, p.row, p.column), p.count);
    };
    cpu::for_pieces(threads_, piece, grad, m, v, master);
}

void CpuBackend::sgd(Context&, const Sgd& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& master) {
    cpu::require_computable(master);
    const auto decay = static_cast<float>(1.0 - params.learning_rate * params.weight_decay);
    const auto rate = static_cast<float>(params.learning_rate * *grad_scale.data<double>());
    const auto piece = [&](const Piece& p) {
        cpu::sgd_piece(decay, rate, cpu::element<float>(grad, p.row, p.column), cpu::element<float>(master, p.row, p.column), p.count);
    };
    cpu::for_pieces(threads_, piece, grad, master);
}

}  // namespace tandem
