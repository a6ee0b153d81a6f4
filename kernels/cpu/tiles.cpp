#include "kernels/cpu/tiles.h"

#include <algorithm>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem::cpu {

namespace {

// A vector of the compiler's own: it becomes one, two or four registers, whatever the processor has.
using Vector = float __attribute__((vector_size(kVector * sizeof(float)), may_alias));

constexpr std::int64_t kRows = 6;  ///< rows of a register block: with one vector each, what 16 registers hold

/// kCount rows and one vector of columns of c, over all of k.
template <int kCount, bool kTransposed>
TANDEM_INLINE void register_block(std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                                  std::int64_t ldc, bool accumulate) {
    Vector sum[kCount];
#pragma GCC unroll 6
    for (int r = 0; r < kCount; ++r) sum[r] = accumulate ? *reinterpret_cast<const Vector*>(c + r * ldc) : Vector{};
    for (std::int64_t i = 0; i < k; ++i) {
        const Vector row = *reinterpret_cast<const Vector*>(b + i * ldb);
#pragma GCC unroll 6
        for (int r = 0; r < kCount; ++r) sum[r] += (kTransposed ? a[i * lda + r] : a[r * lda + i]) * row;
    }
#pragma GCC unroll 6
    for (int r = 0; r < kCount; ++r) *reinterpret_cast<Vector*>(c + r * ldc) = sum[r];
}

template <int kCount, bool kTransposed>
TANDEM_INLINE void block_row(std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                             std::int64_t ldc, bool accumulate) {
    for (std::int64_t j = 0; j < n; j += kVector) register_block<kCount, kTransposed>(k, a, lda, b + j, ldb, c + j, ldc, accumulate);
}

template <bool kTransposed>
TANDEM_INLINE void product(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
                           std::int64_t ldb, float* c, std::int64_t ldc, bool accumulate) {
    const std::int64_t step = kTransposed ? 1 : lda;
    std::int64_t i = 0;
    for (; i + kRows <= m; i += kRows) block_row<kRows, kTransposed>(n, k, a + i * step, lda, b, ldb, c + i * ldc, ldc, accumulate);
    if (i + 4 <= m) {
        block_row<4, kTransposed>(n, k, a + i * step, lda, b, ldb, c + i * ldc, ldc, accumulate);
        i += 4;
    }
    for (; i < m; ++i) block_row<1, kTransposed>(n, k, a + i * step, lda, b, ldb, c + i * ldc, ldc, accumulate);
}

}  // namespace

TANDEM_CLONES void tile_product(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
                                std::int64_t ldb, float* c, std::int64_t ldc, Write write) {
    product<false>(m, n, k, a, lda, b, ldb, c, ldc, write == Write::Accumulate);
}

TANDEM_CLONES void tile_product_transposed(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
                                           std::int64_t ldb, float* c, std::int64_t ldc, Write write) {
    product<true>(m, n, k, a, lda, b, ldb, c, ldc, write == Write::Accumulate);
}

TANDEM_CLONES void scale_row(float* x, float scale, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) x[i] *= scale;
}

TANDEM_CLONES void softcap_tile(float* tile, std::int64_t n, float cap) {
    const float inverse = 1.0F / cap;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) tile[i] = cap * tanh_fast(tile[i] * inverse);
}

namespace {

const std::byte* row_of(const TileSource& source, std::int64_t r) {
    return static_cast<const std::byte*>(source.data) + static_cast<std::size_t>(r * source.stride) * size_of(source.type);
}

}  // namespace

void load_tile(const TileSource& source, float* tile) {
    const std::int64_t width = padded(source.d);
    for (std::int64_t r = 0; r < source.rows; ++r) {
        float* row = tile + r * width;
        widen(source.type, row_of(source, r), row, source.d);
        std::fill(row + source.d, row + width, 0.0F);
    }
}

void load_tile_transposed(const TileSource& source, float scale, float* tile) {
    float part[kTile];
    for (std::int64_t r = 0; r < source.rows; ++r) {
        for (std::int64_t c = 0; c < source.d; c += kTile) {
            const std::int64_t count = std::min(kTile, source.d - c);
            widen(source.type, row_of(source, r) + static_cast<std::size_t>(c) * size_of(source.type), part, count);
            for (std::int64_t i = 0; i < count; ++i) tile[(c + i) * kTile + r] = scale * part[i];
        }
    }
}

void store_tile(const float* tile, const float* row_scale, DType type, void* data, std::int64_t stride, std::int64_t rows, std::int64_t d) {
    float part[kTile];
    auto* target = static_cast<std::byte*>(data);
    for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < d; c += kTile) {
            const std::int64_t count = std::min(kTile, d - c);
            std::copy_n(tile + r * padded(d) + c, count, part);
            scale_row(part, row_scale[r], count);
            narrow(type, part, target + static_cast<std::size_t>(r * stride + c) * size_of(type), count);
        }
    }
}

void mask_outside_band(float* tile, std::int64_t rows, std::int64_t first, std::int64_t last, float value) {
    for (std::int64_t r = 0; r < rows; ++r) {
        float* row = tile + r * kTile;
        const std::int64_t begin = std::clamp<std::int64_t>(r + first, 0, kTile);
        const std::int64_t end = std::clamp<std::int64_t>(r + last, begin, kTile);
        std::fill(row, row + begin, value);
        std::fill(row + end, row + kTile, value);
    }
}

}  // namespace tandem::cpu
