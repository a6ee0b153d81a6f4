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

struct MaxAndSum {
    float max;
    double sum;
};

/// A row of nothing but -inf or NaN must not turn into a number, nor -inf - -inf into NaN for a later piece or part.
float shift_of(float max) { return std::isinf(max) && max < 0.0F ? 0.0F : max; }

/// In one pass over the row: the sum is rescaled when a piece brings a new maximum.
MaxAndSum max_and_sum(const Tensor& logits, std::int64_t row) {
    float max = -std::numeric_limits<float>::infinity();
    double sum = 0.0;
    for_row(row, logits.extent(1), [&](const Piece& p) {
        const auto* z = element<float>(logits, p.row, p.column);
        const float piece_max = max_piece(z, p.count);
        if (piece_max > max) {
            sum *= std::exp(static_cast<double>(max) - static_cast<double>(piece_max));
            max = piece_max;
        }
        sum += static_cast<double>(exp_sum_piece(z, shift_of(max), p.count));
    });
    return {max, sum};
}

LogSumExp log_sum_exp(const Tensor& logits, std::int64_t row) {
    const MaxAndSum of_row = max_and_sum(logits, row);
    return {shift_of(of_row.max), std::log(of_row.sum)};
}

/// statistics [ranks, n, 3] of one row of the logits, added up in the order of the ranks.
struct Combined {
    LogSumExp lse;
    double of_label;
};
Combined combine(const Tensor& statistics, std::int64_t row) {
    const std::int64_t ranks = statistics.extent(0);
    float max = -std::numeric_limits<float>::infinity();
    for (std::int64_t k = 0; k < ranks; ++k) max = std::max(max, *element<float>(statistics, k, 3 * row));
    max = shift_of(max);
    double sum = 0.0;
    double of_label = 0.0;
    for (std::int64_t k = 0; k < ranks; ++k) {
        const auto* part = element<float>(statistics, k, 3 * row);
        sum += static_cast<double>(part[1]) * std::exp(static_cast<double>(part[0]) - static_cast<double>(max));
        of_label += static_cast<double>(part[2]);
    }
    return {{max, std::log(sum)}, of_label};
}

/// softmax - [label], in the type of dlogits; a label outside the row's columns takes nothing off.
void write_gradient(const Tensor& logits, std::int64_t row, const LogSumExp& lse, std::int32_t label, const Tensor& dlogits) {
    for_row(row, logits.extent(1), [&](const Piece& p) {
        Output out(dlogits, p);
        softmax_piece(element<float>(logits, p.row, p.column), lse.max, static_cast<float>(lse.log_sum), out, p.count);
        const std::int64_t at = label - p.column;
        if (at >= 0 && at < p.count) static_cast<float*>(out)[at] -= 1.0F;
        out.store();
    });
}

/// `lowest` is 0, or -1 where that means a label of another rank's part.
const std::int32_t* checked_labels(const char* op, const Tensor& logits, const Tensor& labels, std::int32_t lowest) {
    const auto* label = labels.data<std::int32_t>();
    const std::int64_t vocabulary = logits.extent(1);
    for (std::int64_t i = 0; i < logits.extent(0); ++i) {
        if (label[i] < lowest || label[i] >= vocabulary)
            fail(Failure::Run, "{}: label {} of row {} is outside the vocabulary of {}", op, label[i], i, vocabulary);
    }
    return label;
}

void add_in_order(const Tensor& losses, const Tensor& loss_sum) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < losses.extent(0); ++i) sum += losses.data<double>()[i];
    *loss_sum.data<double>() += sum;
}

}  // namespace

}  // namespace cpu

void CpuBackend::cross_entropy(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) {
    cpu::require_computable(logits);
    const auto* label = cpu::checked_labels("cross_entropy", logits, labels, 0);
    ArenaScope scope(ctx.workspace);
    const Tensor losses = cpu::take_row_losses(ctx, logits);
    auto* loss = losses.data<double>();
    cpu::parallel_for(threads_, logits.extent(0), [&](std::int64_t i) {
        const cpu::LogSumExp lse = cpu::log_sum_exp(logits, i);
        loss[i] = lse.log_sum + (static_cast<double>(lse.max) - static_cast<double>(*cpu::element<float>(logits, i, label[i])));
        if (dlogits) cpu::write_gradient(logits, i, lse, label[i], dlogits);
    });
    cpu::add_in_order(losses, loss_sum);
}

void CpuBackend::cross_entropy_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics) {
    cpu::require_computable(logits);
    const auto* label = cpu::checked_labels("cross_entropy_statistics", logits, labels, -1);
    cpu::parallel_for(threads_, logits.extent(0), [&](std::int64_t i) {
        const cpu::MaxAndSum of_row = cpu::max_and_sum(logits, i);
        auto* out = cpu::element<float>(statistics, i, 0);
        out[0] = of_row.max;
        out[1] = static_cast<float>(of_row.sum);
        out[2] = label[i] < 0 ? 0.0F : *cpu::element<float>(logits, i, label[i]);
    });
}

void CpuBackend::cross_entropy_from_statistics(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                               const Tensor& loss_sum, const Tensor& dlogits) {
    cpu::require_computable(logits);
    const auto* label = cpu::checked_labels("cross_entropy_from_statistics", logits, labels, -1);
    ArenaScope scope(ctx.workspace);
    const Tensor losses = cpu::take_row_losses(ctx, logits);
    auto* loss = losses.data<double>();
    cpu::parallel_for(threads_, logits.extent(0), [&](std::int64_t i) {
        const cpu::Combined of = cpu::combine(statistics, i);
        loss[i] = of.lse.log_sum + (static_cast<double>(of.lse.max) - of.of_label);
        if (dlogits) cpu::write_gradient(logits, i, of.lse, label[i], dlogits);
    });
    if (loss_sum) cpu::add_in_order(losses, loss_sum);
}

}  // namespace tandem
