#include "kernels/cpu/tiles.h"

#include <algorithm>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem::cpu {

namespace {

static_assert(kVector == kLanes);

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
    const float* a_rest = a + i * step;
    float* c_rest = c + i * ldc;
    switch (m - i) {
        case 1: block_row<1, kTransposed>(n, k, a_rest, lda, b, ldb, c_rest, ldc, accumulate); break;
        case 2: block_row<2, kTransposed>(n, k, a_rest, lda, b, ldb, c_rest, ldc, accumulate); break;
        case 3: block_row<3, kTransposed>(n, k, a_rest, lda, b, ldb, c_rest, ldc, accumulate); break;
        case 4: block_row<4, kTransposed>(n, k, a_rest, lda, b, ldb, c_rest, ldc, accumulate); break;
        case 5: block_row<5, kTransposed>(n, k, a_rest, lda, b, ldb, c_rest, ldc, accumulate); break;
        default: break;
    }
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

namespace {

// Whole tiles in one call: rows of a head are short.
template <class T>
TANDEM_INLINE void load_rows(const TileSource& x, float* tile) {
    for (std::int64_t r = 0; r < x.rows; ++r) {
        const T* from = static_cast<const T*>(x.data) + r * x.stride;
        float* to = tile + r * padded(x.d);
#pragma omp simd
        for (std::int64_t c = 0; c < x.d; ++c) to[c] = widen(from[c]);
    }
}

template <class T>
TANDEM_INLINE void store_rows(const float* tile, const float* row_scale, const TileTarget& y) {
    for (std::int64_t r = 0; r < y.rows; ++r) {
        const float* from = tile + r * padded(y.d);
        T* to = static_cast<T*>(y.data) + r * y.stride;
        const float scale = row_scale[r];
#pragma omp simd
        for (std::int64_t c = 0; c < y.d; ++c) narrow(from[c] * scale, to[c]);
    }
}

}  // namespace

TANDEM_CLONES void load_fp32(const TileSource& x, float* tile) { load_rows<float>(x, tile); }
TANDEM_CLONES void load_bf16(const TileSource& x, float* tile) { load_rows<std::uint16_t>(x, tile); }
TANDEM_CLONES void load_fp16(const TileSource& x, float* tile) { load_rows<Float16>(x, tile); }

TANDEM_CLONES void store_fp32(const float* tile, const float* scale, const TileTarget& y) { store_rows<float>(tile, scale, y); }
TANDEM_CLONES void store_bf16(const float* tile, const float* scale, const TileTarget& y) { store_rows<std::uint16_t>(tile, scale, y); }
TANDEM_CLONES void store_fp16(const float* tile, const float* scale, const TileTarget& y) { store_rows<Float16>(tile, scale, y); }

TANDEM_CLONES void transpose_scaled(const float* x, std::int64_t width, std::int64_t rows, std::int64_t d, float scale, float* tile) {
    for (std::int64_t c = 0; c < d; ++c) {
        for (std::int64_t r = 0; r < rows; ++r) tile[c * kTile + r] = scale * x[r * width + c];
    }
}

TANDEM_CLONES void softcap_tile(float* tile, std::int64_t n, float cap) {
    const float inverse = 1.0F / cap;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) tile[i] = cap * tanh_fast(tile[i] * inverse);
}

void load_tile(const TileSource& source, float* tile) {
    const std::int64_t width = padded(source.d);
    by_type(source.type, load_fp32, load_bf16, load_fp16)(source, tile);
    if (width == source.d) return;
    for (std::int64_t r = 0; r < source.rows; ++r) std::fill(tile + r * width + source.d, tile + (r + 1) * width, 0.0F);
}

void load_tile_transposed(const TileSource& source, float scale, float* tile, float* scratch) {
    load_tile(source, scratch);
    transpose_scaled(scratch, padded(source.d), source.rows, source.d, scale, tile);
}

void store_tile(const float* tile, const float* row_scale, const TileTarget& y) {
    by_type(y.type, store_fp32, store_bf16, store_fp16)(tile, row_scale, y);
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
