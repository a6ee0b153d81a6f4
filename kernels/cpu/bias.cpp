#include "kernels/ops/bias.h"

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

TANDEM_CLONES void bias_piece(const float* bias, const float* y, float* out, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = y[i] + bias[i];
}

TANDEM_CLONES void column_sums_piece(const float* x, float* sums, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) sums[i] += x[i];
}

}  // namespace cpu

using cpu::Input;
using cpu::Output;
using cpu::Piece;

void CpuBackend::bias_add(Context&, const Tensor& bias, const Tensor& y) {
    cpu::require_computable(y);
    const std::int64_t columns = y.extent(1);
    const std::int64_t per_row = (columns + cpu::kPiece - 1) / cpu::kPiece;
    cpu::parallel_for(threads_, y.extent(0) * per_row, [&](std::int64_t i) {
        const std::int64_t column = i % per_row * cpu::kPiece;
        const Piece p{i / per_row, column, std::min(cpu::kPiece, columns - column)};
        Output out(y, p);
        cpu::bias_piece(Input(bias, Piece{0, column, p.count}), Input(y, p), out, p.count);
        out.store();
    });
}

// A column belongs to one thread and is summed in row order, so that the result does not depend on the number of threads.
void CpuBackend::bias_backward(Context&, const Tensor& dy, const Tensor& dbias) {
    cpu::require_computable(dy);
    constexpr std::int64_t kColumns = 128;
    const std::int64_t columns = dy.extent(1);
    cpu::parallel_for(threads_, (columns + kColumns - 1) / kColumns, [&](std::int64_t i) {
        const std::int64_t column = i * kColumns;
        const std::int64_t count = std::min(kColumns, columns - column);
        float sums[kColumns] = {};
        for (std::int64_t row = 0; row < dy.extent(0); ++row) cpu::column_sums_piece(Input(dy, Piece{row, column, count}), sums, count);
        auto* target = cpu::element<float>(dbias, 0, column);
        for (std::int64_t j = 0; j < count; ++j) target[j] += sums[j];
    });
}

}  // namespace tandem
