// Tiles of at most 64 rows in fp32, and their products: what the attention kernels are made of.
#pragma once

#include <cstdint>

#include "kernels/base/dtype.h"
#include "kernels/ops/types.h"

namespace tandem::cpu {

inline constexpr std::int64_t kTile = 64;    ///< rows of a tile
inline constexpr std::int64_t kVector = 16;  ///< columns come in multiples of this; tiles are aligned to 64 bytes

[[nodiscard]] constexpr std::int64_t padded(std::int64_t columns) { return (columns + kVector - 1) / kVector * kVector; }

/// `rows` rows of d elements that lie `stride` elements apart in a matrix of fp32, bf16 or fp16.
struct TileSource {
    DType type;
    const void* data;
    std::int64_t stride, rows, d;
};
struct TileTarget {
    DType type;
    void* data;
    std::int64_t stride, rows, d;
};

/// tile [rows, padded(d)] = source, padded with zeros.
void load_tile(const TileSource& source, float* tile);
/// The first `rows` columns of tile [d, kTile] = scale * source^T; scratch [rows, padded(d)].
void load_tile_transposed(const TileSource& source, float scale, float* tile, float* scratch);
/// y = the first d columns of tile [rows, padded(d)], times row_scale[r].
void store_tile(const float* tile, const float* row_scale, const TileTarget& y);

/// c [m, n] (+)= a [m, k] b [k, n]; leading dimensions in elements, n and those of b and c multiples of kVector.
void tile_product(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
                  float* c, std::int64_t ldc, Write write);
/// c [m, n] (+)= a^T b with a [k, m].
void tile_product_transposed(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
                             std::int64_t ldb, float* c, std::int64_t ldc, Write write);

/// Columns of row r outside [r + first, r + last) become `value`; tile [rows, kTile].
void mask_outside_band(float* tile, std::int64_t rows, std::int64_t first, std::int64_t last, float value);

/// x = cap tanh(x / cap).
void softcap_tile(float* tile, std::int64_t n, float cap);

}  // namespace tandem::cpu
