#include "kernels/ops/cross_entropy.h"

#include <cmath>
#include <limits>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

TANDEM_CLONES float max_piece(const float* z, std::int64_t n) {
    float m = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : m)
    for (std::int64_t i = 0; i < n; ++i) m = z[i] > m ? z[i] : m;
    return m;
}

TANDEM_CLONES float exp_sum_piece(const float* z, float shift, std::int64_t n) {
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum += exp_fast(z[i] - shift);
    return sum;
}

TANDEM_CLONES void softmax_piece(const float* z, float max, float log_sum, float* p, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) p[i] = exp_fast((z[i] - max) - log_sum);
}

namespace {

template <class Body>
void for_row(std::int64_t row, std::int64_t columns, const Body& body) {
    for (std::int64_t j = 0; j < columns; j += kPiece) body(Piece{row, j, std::min(kPiece, columns - j)});
}

/// log sum_j exp z_j = max + log_sum, kept apart: their sum in fp32 would lose digits of the gradient where logits are large.
struct LogSumExp {
    float max;
    double log_sum;
};

/// In one pass over the row: the sum is rescaled when a piece brings a new maximum.
LogSumExp log_sum_exp(const Tensor& logits, std::int64_t row) {
    float max = -std::numeric_limits<float>::infinity();
    double sum = 0.0;
    for_row(row, logits.extent(1), [&](const Piece& p) {
        const auto* z = element<float>(logits, p.row, p.column);
        const float piece_max = max_piece(z, p.count);
        if (piece_max > max) {
            sum *= std::exp(static_cast<double>(max) - static_cast<double>(piece_max));
            max = piece_max;
        }
        // A row of nothing but -inf or NaN so far must not turn into a number, nor -inf - -inf into NaN for a later piece.
        sum += static_cast<double>(exp_sum_piece(z, std::isinf(max) && max < 0.0F ? 0.0F : max, p.count));
    });
    return {std::isinf(max) && max < 0.0F ? 0.0F : max, std::log(sum)};
}

}  // namespace

}  // namespace cpu

using cpu::Piece;

void CpuBackend::cross_entropy(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) {
    cpu::require_computable(logits);
    const std::int64_t n = logits.extent(0);
    const std::int64_t vocabulary = logits.extent(1);
    const auto* label = labels.data<std::int32_t>();
    for (std::int64_t i = 0; i < n; ++i) {
        if (label[i] < 0 || label[i] >= vocabulary)
            fail(Failure::Run, "cross_entropy: label {} of row {} is outside the vocabulary of {}", label[i], i, vocabulary);
    }
    ArenaScope scope(ctx.workspace);
    const Tensor losses = cpu::take_row_losses(ctx, logits);
    auto* loss = losses.data<double>();
    cpu::parallel_for(threads_, n, [&](std::int64_t i) {
        const cpu::LogSumExp lse = cpu::log_sum_exp(logits, i);
        loss[i] = lse.log_sum + (static_cast<double>(lse.max) - static_cast<double>(*cpu::element<float>(logits, i, label[i])));
        if (!dlogits) return;
        cpu::for_row(i, vocabulary, [&](const Piece& p) {
            cpu::Output out(dlogits, p);
            cpu::softmax_piece(cpu::element<float>(logits, p.row, p.column), lse.max, static_cast<float>(lse.log_sum), out, p.count);
            const std::int64_t at = label[i] - p.column;
            if (at >= 0 && at < p.count) static_cast<float*>(out)[at] -= 1.0F;
            out.store();
        });
    });
    double sum = 0.0;
    for (std::int64_t i = 0; i < n; ++i) sum += loss[i];
    *loss_sum.data<double>() += sum;
}

}  // namespace tandem
