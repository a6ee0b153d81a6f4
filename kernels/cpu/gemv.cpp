#include "kernels/cpu/gemv.h"

#include <vector>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem::cpu {

namespace {

constexpr std::int64_t kMaxRows = 4;
constexpr std::int64_t kColumns = 16;  ///< rows of W, columns of c, that one call treats

/// sums[t] = x_t . w for kTokens rows of x [kTokens, k]: w is read once, in one forward run of memory.
template <int kTokens, class T>
TANDEM_INLINE void dot_row(const float* x, const T* w, std::int64_t k, float* sums) {
    constexpr int kChains = 4 / kTokens < 1 ? 1 : 4 / kTokens;  // independent additions, to hide their latency
    constexpr std::int64_t kStep = kChains * kLanes;
    Vector partial[kTokens][kChains] = {};
    std::int64_t j = 0;
    for (; j + kStep <= k; j += kStep) {
#pragma GCC unroll 4
        for (int chain = 0; chain < kChains; ++chain) {
            Vector weights;
            load_vector(w + j + chain * kLanes, weights);
#pragma GCC unroll 4
            for (int t = 0; t < kTokens; ++t) {
                Vector values;
                load_vector(x + t * k + j + chain * kLanes, values);
                partial[t][chain] += values * weights;
            }
        }
    }
    for (int t = 0; t < kTokens; ++t) {
        for (int chain = 1; chain < kChains; ++chain) partial[t][0] += partial[t][chain];
        float sum = 0.0F;
        for (std::int64_t l = 0; l < kLanes; ++l) sum += partial[t][0][l];
        for (std::int64_t i = j; i < k; ++i) sum += x[t * k + i] * widen(w[i]);
        sums[t] = sum;
    }
}

/// x [tokens, k] and rows of W, `row_stride` elements apart.
struct Rows {
    const float* x;
    std::int64_t tokens;
    const std::byte* w;
    std::int64_t row_stride, rows, k;
};

/// sums [rows, tokens]
template <class T>
TANDEM_INLINE void dot_rows(const Rows& of, float* sums) {
    for (std::int64_t r = 0; r < of.rows; ++r) {
        const T* row = reinterpret_cast<const T*>(of.w) + r * of.row_stride;
        float* to = sums + r * of.tokens;
        switch (of.tokens) {
            case 1: dot_row<1>(of.x, row, of.k, to); break;
            case 2: dot_row<2>(of.x, row, of.k, to); break;
            case 3: dot_row<3>(of.x, row, of.k, to); break;
            default: dot_row<kMaxRows>(of.x, row, of.k, to); break;
        }
    }
}

}  // namespace

TANDEM_CLONES void gemv_rows_fp32(const Rows& of, float* sums) { dot_rows<float>(of, sums); }
TANDEM_CLONES void gemv_rows_bf16(const Rows& of, float* sums) { dot_rows<std::uint16_t>(of, sums); }
TANDEM_CLONES void gemv_rows_fp16(const Rows& of, float* sums) { dot_rows<Float16>(of, sums); }

bool gemv_applies(const Operand& a, const Operand& b) {
    return a.transpose == Transpose::No && b.transpose == Transpose::Yes && a.rows() <= kMaxRows && a.columns() <= (std::int64_t{1} << 20);
}

void gemv(int threads, const Tensor& x, const Tensor& w, const Tensor& c, double alpha, Write write) {
    const std::int64_t m = x.extent(0);
    const std::int64_t k = x.extent(1);
    const std::int64_t n = w.extent(0);
    std::vector<float> wide(static_cast<std::size_t>(m * k));
    for (std::int64_t i = 0; i < m; ++i) widen(x.dtype(), element(x, i, 0), wide.data() + i * k, k);
    const auto rows = by_type(w.dtype(), gemv_rows_fp32, gemv_rows_bf16, gemv_rows_fp16);
    parallel_for(threads, (n + kColumns - 1) / kColumns, [&](std::int64_t block) {
        const std::int64_t first = block * kColumns;
        const std::int64_t count = std::min(kColumns, n - first);
        float sums[kColumns * kMaxRows];
        rows({wide.data(), m, element(w, first, 0), w.row_stride(), count, k}, sums);
        for (std::int64_t i = 0; i < m; ++i) {
            float result[kColumns] = {};
            if (write == Write::Accumulate) widen(c.dtype(), element(c, i, first), result, count);
            for (std::int64_t j = 0; j < count; ++j) result[j] += static_cast<float>(alpha) * sums[j * m + i];
            narrow(c.dtype(), result, element(c, i, first), count);
        }
    });
}

}  // namespace tandem::cpu
