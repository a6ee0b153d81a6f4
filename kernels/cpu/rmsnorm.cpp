#include "kernels/ops/rmsnorm.h"

#include <cmath>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

TANDEM_CLONES float squares_piece(const float* x, std::int64_t n) {
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
    return sum;
}

TANDEM_CLONES void normalise_piece(const float* x, const float* w, float rstd, float offset, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] * rstd * (offset + w[i]);
}

// As transformers' LlamaRMSNorm: x rstd is rounded to the compute type before the product with w.
TANDEM_CLONES void normalise_bf16_piece(const float* x, const float* w, float rstd, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = round_to<std::uint16_t>(x[i] * rstd) * w[i];
}

TANDEM_CLONES void normalise_fp16_piece(const float* x, const float* w, float rstd, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = round_to<Float16>(x[i] * rstd) * w[i];
}

TANDEM_CLONES float gradient_dot_piece(const float* dy, const float* x, const float* w, float offset, std::int64_t n) {
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum += dy[i] * (offset + w[i]) * x[i];
    return sum;
}

// dx = base + rstd (g - x coefficient), coefficient = rstd^2 mean(g x); base is 0 or what dx holds.
TANDEM_CLONES void norm_gradient_piece(const float* dy, const float* x, const float* w, float offset, float rstd, float coefficient,
                                       const float* base, float* dx, std::int64_t n) {
    if (base == nullptr) {
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) dx[i] = rstd * (dy[i] * (offset + w[i]) - x[i] * coefficient);
    } else {
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) dx[i] = base[i] + rstd * (dy[i] * (offset + w[i]) - x[i] * coefficient);
    }
}

TANDEM_CLONES void weight_gradient_piece(const float* dy, const float* x, float rstd, float* dw, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) dw[i] += dy[i] * (x[i] * rstd);
}

TANDEM_CLONES void add_to_piece(const float* x, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] += x[i];
}

namespace {

template <class Body>
void for_row(std::int64_t row, std::int64_t columns, const Body& body) {
    for (std::int64_t j = 0; j < columns; j += kPiece) body(Piece{row, j, std::min(kPiece, columns - j)});
}

Piece weights_of(const Piece& p) { return {0, p.column, p.count}; }

struct NormGradient {
    float offset;
    const Tensor &dy, &x, &w, &rstd, &dx;
    Write write;

    /// dx of one row; dw, if given, [h] += the row's share.
    void row(std::int64_t i, float* dw) const {
        const std::int64_t h = x.extent(1);
        const float r = rstd.data<float>()[i];
        float dot = 0.0F;
        for_row(i, h,
                [&](const Piece& p) { dot += gradient_dot_piece(Input(dy, p), Input(x, p), Input(w, weights_of(p)), offset, p.count); });
        const float coefficient = r * r * (dot / static_cast<float>(h));
        for_row(i, h, [&](const Piece& p) {
            const Input dy_piece(dy, p);
            const Input x_piece(x, p);
            if (dw != nullptr) weight_gradient_piece(dy_piece, x_piece, r, dw + p.column, p.count);
            Output out(dx, p);
            const Input w_piece(w, weights_of(p));
            if (write == Write::Overwrite) norm_gradient_piece(dy_piece, x_piece, w_piece, offset, r, coefficient, nullptr, out, p.count);
            else norm_gradient_piece(dy_piece, x_piece, w_piece, offset, r, coefficient, Input(dx, p), out, p.count);
            out.store();
        });
    }
};

}  // namespace

}  // namespace cpu

using cpu::Input;
using cpu::Output;
using cpu::Piece;

void CpuBackend::rmsnorm(Context&, const RmsNorm& norm, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd) {
    cpu::require_computable(x);
    const std::int64_t h = x.extent(1);
    const bool rounded = x.dtype() != DType::F32 && norm.weight_offset == 0.0;
    const auto normalise_rounded = x.dtype() == DType::BF16 ? cpu::normalise_bf16_piece : cpu::normalise_fp16_piece;
    cpu::parallel_for(threads_, x.extent(0), [&](std::int64_t i) {
        float squares = 0.0F;
        cpu::for_row(i, h, [&](const Piece& p) { squares += cpu::squares_piece(Input(x, p), p.count); });
        const float r = 1.0F / std::sqrt(squares / static_cast<float>(h) + static_cast<float>(norm.eps));
        if (rstd) rstd.data<float>()[i] = r;
        cpu::for_row(i, h, [&](const Piece& p) {
            Output out(y, p);
            const Input w_piece(w, cpu::weights_of(p));
            if (rounded) normalise_rounded(Input(x, p), w_piece, r, out, p.count);
            else cpu::normalise_piece(Input(x, p), w_piece, r, static_cast<float>(norm.weight_offset), out, p.count);
            out.store();
        });
    });
}

// dw is summed over a fixed number of row ranges, whatever the number of threads, and those in order.
void CpuBackend::rmsnorm_backward(Context& ctx, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& rstd,
                                  const Tensor& dx, Write write, const Tensor& dw) {
    cpu::require_computable(x);
    const cpu::NormGradient gradient{static_cast<float>(norm.weight_offset), dy, x, w, rstd, dx, write};
    const std::int64_t n = x.extent(0);
    const std::int64_t h = x.extent(1);
    if (!dw) return cpu::parallel_for(threads_, n, [&](std::int64_t i) { gradient.row(i, nullptr); });

    ArenaScope scope(ctx.workspace);
    const Tensor partial = cpu::take_norm_gradient_sums(ctx, x);
    const std::int64_t ranges = partial.extent(0);
    cpu::parallel_for(threads_, ranges, [&](std::int64_t r) {
        auto* sums = cpu::element<float>(partial, r, 0);
        std::fill_n(sums, h, 0.0F);
        for (std::int64_t i = n * r / ranges; i < n * (r + 1) / ranges; ++i) gradient.row(i, sums);
    });
    cpu::parallel_for(threads_, (h + cpu::kPiece - 1) / cpu::kPiece, [&](std::int64_t block) {
        const std::int64_t column = block * cpu::kPiece;
        const std::int64_t count = std::min(cpu::kPiece, h - column);
        auto* total = cpu::element<float>(partial, 0, column);
        for (std::int64_t r = 1; r < ranges; ++r) cpu::add_to_piece(cpu::element<float>(partial, r, column), total, count);
        cpu::add_to_piece(total, cpu::element<float>(dw, 0, column), count);
    });
}

}  // namespace tandem
