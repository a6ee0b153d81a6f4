#include "kernels/ops/embedding.h"

#include <cstring>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

TANDEM_CLONES void accumulate_piece(const float* x, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] += x[i];
}

namespace {

/// `lowest` is 0, or -1 where that means a row of another rank's part.
const std::int32_t* checked_indices(const char* op, const Tensor& index, std::int64_t rows, std::int32_t lowest = 0) {
    const auto* values = index.data<std::int32_t>();
    for (std::int64_t i = 0; i < index.extent(0); ++i)
        if (values[i] < lowest || values[i] >= rows)
            fail(Failure::Run, "{}: index {} is {}, but there are {} rows", op, i, values[i], rows);
    return values;
}

void copy_row(const Tensor& from, std::int64_t i, const Tensor& to, std::int64_t j) {
    std::memcpy(element(to, j, 0), element(from, i, 0), static_cast<std::size_t>(from.row_elements()) * size_of(from.dtype()));
}

}  // namespace

}  // namespace cpu

void CpuBackend::embedding(Context&, const Tensor& table, const Tensor& ids, const Tensor& y) {
    const auto* row = cpu::checked_indices("embedding", ids, table.extent(0), -1);
    const auto row_bytes = static_cast<std::size_t>(y.row_elements()) * size_of(y.dtype());
    cpu::parallel_for(threads_, y.extent(0), [&](std::int64_t i) {
        if (row[i] >= 0) cpu::copy_row(table, row[i], y, i);
        else std::memset(cpu::element(y, i, 0), 0, row_bytes);
    });
}

// A thread owns columns, not rows: equal ids need no lock and every element is summed in the order of i.
void CpuBackend::embedding_backward(Context&, const Tensor& dy, const Tensor& ids, const Tensor& dtable) {
    cpu::require_computable(dy);
    constexpr std::int64_t kColumns = 128;
    const auto* row = cpu::checked_indices("embedding_backward", ids, dtable.extent(0), -1);
    const std::int64_t columns = dy.extent(1);
    cpu::parallel_for(threads_, (columns + kColumns - 1) / kColumns, [&](std::int64_t block) {
        const std::int64_t column = block * kColumns;
        const std::int64_t count = std::min(kColumns, columns - column);
        for (std::int64_t i = 0; i < dy.extent(0); ++i) {
            if (row[i] < 0) continue;
            cpu::accumulate_piece(cpu::Input(dy, {i, column, count}), cpu::element<float>(dtable, row[i], column), count);
        }
    });
}

void CpuBackend::gather_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y) {
    const auto* row = cpu::checked_indices("gather_rows", index, x.extent(0));
    cpu::parallel_for(threads_, y.extent(0), [&](std::int64_t i) { cpu::copy_row(x, row[i], y, i); });
}

void CpuBackend::scatter_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y) {
    const auto* row = cpu::checked_indices("scatter_rows", index, y.extent(0));
    cpu::parallel_for(threads_, x.extent(0), [&](std::int64_t i) { cpu::copy_row(x, i, y, row[i]); });
}

}  // namespace tandem
