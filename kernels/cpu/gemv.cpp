#include "kernels/cpu/gemv.h"

#include <vector>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem::cpu {

namespace {

constexpr std::int64_t kMaxRows = 4;
constexpr std::int64_t kColumns = 16;  ///< rows of W that one call treats

/// sums[r] = x_r . w_r for kWide rows of w at once, so that one load of x serves them and enough chains of additions run.
template <int kWide, class Load, class T>
TANDEM_INLINE void dot_rows(const float* x, const T* w, std::int64_t row_stride, std::int64_t k, float* sums, const Load& load) {
    constexpr int kLanes = 16;
    float lanes[kWide][kLanes] = {};
    std::int64_t j = 0;
    for (; j + kLanes <= k; j += kLanes) {
#pragma GCC unroll 8
        for (int r = 0; r < kWide; ++r) {
#pragma omp simd
            for (int l = 0; l < kLanes; ++l) lanes[r][l] += x[j + l] * load(w[r * row_stride + j + l]);
        }
    }
    for (int r = 0; r < kWide; ++r) {
        float sum = 0.0F;
        for (const float lane : lanes[r]) sum += lane;
        for (std::int64_t i = j; i < k; ++i) sum += x[i] * load(w[r * row_stride + i]);
        sums[r] = sum;
    }
}

template <class Load, class T>
TANDEM_INLINE void dot_all_rows(const float* x, const T* w, std::int64_t row_stride, std::int64_t rows, std::int64_t k, float* sums,
                                const Load& load) {
    std::int64_t r = 0;
    for (; r + 4 <= rows; r += 4) dot_rows<4>(x, w + r * row_stride, row_stride, k, sums + r, load);
    for (; r < rows; ++r) dot_rows<1>(x, w + r * row_stride, row_stride, k, sums + r, load);
}

}  // namespace

TANDEM_CLONES void gemv_rows_fp32(const float* x, const float* w, std::int64_t row_stride, std::int64_t rows, std::int64_t k, float* sums) {
    dot_all_rows(
        x, w, row_stride, rows, k, sums, [](float value) __attribute__((always_inline)) { return value; });
}

TANDEM_CLONES void gemv_rows_bf16(const float* x, const std::uint16_t* w, std::int64_t row_stride, std::int64_t rows, std::int64_t k,
                                  float* sums) {
    dot_all_rows(
        x, w, row_stride, rows, k, sums, [](std::uint16_t value) __attribute__((always_inline)) { return widen(value); });
}

bool gemv_applies(const Operand& a, const Operand& b) {
    return a.x.dtype() != DType::F16 && a.transpose == Transpose::No && b.transpose == Transpose::Yes && a.rows() <= kMaxRows &&
           a.columns() <= (std::int64_t{1} << 20);
}

void gemv(int threads, const Tensor& x, const Tensor& w, const Tensor& c, double alpha, Write write) {
    const std::int64_t m = x.extent(0);
    const std::int64_t k = x.extent(1);
    const std::int64_t n = w.extent(0);
    std::vector<float> wide(static_cast<std::size_t>(m * k));
    for (std::int64_t i = 0; i < m; ++i) widen(x.dtype(), element(x, i, 0), wide.data() + i * k, k);
    parallel_for(threads, (n + kColumns - 1) / kColumns, [&](std::int64_t block) {
        const std::int64_t first = block * kColumns;
        const std::int64_t count = std::min(kColumns, n - first);
        float sums[kColumns];
        for (std::int64_t i = 0; i < m; ++i) {
            const float* row = wide.data() + i * k;
            if (w.dtype() == DType::F32) gemv_rows_fp32(row, element<float>(w, first, 0), w.row_stride(), count, k, sums);
            else gemv_rows_bf16(row, element<std::uint16_t>(w, first, 0), w.row_stride(), count, k, sums);
            for (std::int64_t j = 0; j < count; ++j) sums[j] *= static_cast<float>(alpha);
            if (write == Write::Accumulate) {
                float old[kColumns];
                widen(c.dtype(), element(c, i, first), old, count);
                for (std::int64_t j = 0; j < count; ++j) sums[j] += old[j];
            }
            narrow(c.dtype(), sums, element(c, i, first), count);
        }
    });
}

}  // namespace tandem::cpu
