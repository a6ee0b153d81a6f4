// What the attention kernels on tensor cores share: tiles of 16-bit rows in shared memory, products of them, scores.
#pragma once

#include <type_traits>

#include "kernels/cuda/attention_samples.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda {

inline constexpr float kLog2e = 1.4426950408889634F;
inline constexpr float kLn2 = 0.6931471805599453F;
inline constexpr float kInfinity = __builtin_inff();

/// kRows rows of D numbers in pieces of 16 bytes. Pieces are permuted within a row, so that the same piece of 8 consecutive rows lies in
/// 8 different groups of banks, as ldmatrix reads it.
template <class T, int kRows, int D>
struct SharedTile {
    static constexpr int kPieces = D / 8;
    static_assert(D % 32 == 0);
    alignas(16) T element[kRows * D];

    static __device__ int swizzle(int row) { return kPieces % 8 == 0 ? row & 7 : row >> 1 & 3; }
    __device__ T* at(int row, int piece) { return element + (row * kPieces + (piece ^ swizzle(row))) * 8; }
    __device__ const T* at(int row, int piece) const { return element + (row * kPieces + (piece ^ swizzle(row))) * 8; }
};

/// Starts to copy `rows` rows, at most all, of head_dim elements; what lies outside becomes 0. Threads lie 8 (or 4) pieces across and
/// the rest down, so that one swizzle and one address serve all that a thread copies.
template <int kThreads, class T, int kRows, int D>
__device__ void start_tile(SharedTile<T, kRows, D>& to, const T* from, std::int64_t stride, int rows, int head_dim) {
    constexpr int kPieces = D / 8, kAcross = kPieces % 8 == 0 ? 8 : 4, kDown = kThreads / kAcross;
    static_assert(kRows % kDown == 0 && kDown % 8 == 0);
    const int row = static_cast<int>(threadIdx.x) / kAcross, piece = static_cast<int>(threadIdx.x) % kAcross;
    T* target = to.at(row, piece);
    from += row * stride + 8 * piece;
    rows -= row;
    head_dim -= 8 * piece;
#pragma unroll
    for (int i = 0; i < kRows; i += kDown) {
#pragma unroll
        for (int j = 0; j < kPieces; j += kAcross) copy_async(target + i * D + 8 * j, from + 8 * j, i < rows && 8 * j < head_dim);
        from += kDown * stride;
    }
}

/// Element (token, head, 0) of x [tokens, heads, d].
template <class T>
__device__ T* head_row(const Matrix<T>& x, int token, int head, int head_dim) {
    return x.data + token * x.stride + std::int64_t{head} * head_dim;
}

__device__ inline int lane_of_warp() { return static_cast<int>(threadIdx.x % kWarp); }

/// 16 x 16 numbers as mma's operand a: rows from `row`, columns from 16 k.
template <class T, int kRows, int D>
__device__ void load_a(const SharedTile<T, kRows, D>& x, int row, int k, std::uint32_t (&a)[4]) {
    const int lane = lane_of_warp();
    ldmatrix(a, x.at(row + lane % 16, 2 * k + lane / 16));
}
/// Operand b of two products whose columns are the rows of x from `row`: b[0], b[1] of 8 rows, b[2], b[3] of the next.
template <class T, int kRows, int D>
__device__ void load_b(const SharedTile<T, kRows, D>& x, int row, int k, std::uint32_t (&b)[4]) {
    const int lane = lane_of_warp();
    ldmatrix(b, x.at(row + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2));
}
/// Operand b of two products that sum over the 16 rows of x from `row`: columns 16 n to 16 n + 7 and the next.
template <class T, int kRows, int D>
__device__ void load_b_transposed(const SharedTile<T, kRows, D>& x, int row, int n, std::uint32_t (&b)[4]) {
    const int lane = lane_of_warp();
    ldmatrix_transposed(b, x.at(row + lane % 16, 2 * n + lane / 16));
}

/// 16 kM rows of a tile as operand a, read again by every product.
template <class T, int kRows, int D, int kM>
struct StoredRows {
    const SharedTile<T, kRows, D>& tile;
    int row;
    __device__ void get(int m, int k, std::uint32_t (&a)[4]) const { load_a(tile, row + 16 * m, k, a); }
};
/// The same, kept in registers.
template <int D, int kM>
struct HeldRows {
    std::uint32_t part[kM][D / 16][4];
    template <class Stored>
    __device__ explicit HeldRows(const Stored& rows) {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int k = 0; k < D / 16; ++k) rows.get(m, k, part[m][k]);
    }
    __device__ void get(int m, int k, std::uint32_t (&a)[4]) const {
#pragma unroll
        for (int i = 0; i < 4; ++i) a[i] = part[m][k][i];
    }
};

/// A warp's part of a product: 16 kM x 8 kN numbers, as mma spreads d. Row 16 m + 8 h + g and column 8 n + 2 t + e are at [m][n][2 h + e].
template <int kM, int kN>
using Sums = float[kM][kN][4];

template <int kM, int kN>
__device__ void clear(Sums<kM, kN>& x) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int n = 0; n < kN; ++n)
#pragma unroll
            for (int e = 0; e < 4; ++e) x[m][n][e] = 0.0F;
}

template <class T>
__device__ void multiply_two(float (&low)[4], float (&high)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[4]) {
    const std::uint32_t first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
    mma<T>(low, a, first);
    mma<T>(high, a, second);
}

/// s += x y^T with the first 8 kN rows of y.
template <class T, int kRows, int D, int kM, int kN, class X>
__device__ void multiply_transposed(Sums<kM, kN>& s, const X& x, const SharedTile<T, kRows, D>& y) {
    static_assert(kN % 2 == 0 && 8 * kN <= kRows);
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
        std::uint32_t a[kM][4];
#pragma unroll
        for (int m = 0; m < kM; ++m) x.get(m, k, a[m]);
#pragma unroll
        for (int n = 0; n < kN / 2; ++n) {
            std::uint32_t b[4];
            load_b(y, 16 * n, k, b);
#pragma unroll
            for (int m = 0; m < kM; ++m) multiply_two<T>(s[m][2 * n], s[m][2 * n + 1], a[m], b);
        }
    }
}

/// Sums of one product as operand a of the next, rounded to T.
template <class T, int kM, int kN>
__device__ void round_sums(const Sums<kM, kN>& x, std::uint32_t (&a)[kM][kN / 2][4]) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int k = 0; k < kN / 2; ++k)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float(&pair)[4] = x[m][2 * k + i / 2];
                a[m][k][i] = narrow_pair<T>(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
            }
}

/// o += p y.
template <class T, int kRows, int D, int kM, int kK>
__device__ void multiply(Sums<kM, D / 8>& o, const std::uint32_t (&p)[kM][kK][4], const SharedTile<T, kRows, D>& y) {
    static_assert(16 * kK <= kRows);
#pragma unroll
    for (int k = 0; k < kK; ++k)
#pragma unroll
        for (int n = 0; n < D / 16; ++n) {
            std::uint32_t b[4];
            load_b_transposed(y, 16 * k, n, b);
#pragma unroll
            for (int m = 0; m < kM; ++m) multiply_two<T>(o[m][2 * n], o[m][2 * n + 1], p[m][k], b);
        }
}

/// Scores of tokens that do not see each other become -infinity; `row` and `column` are the sums' first.
template <int kM, int kN>
__device__ void mask(Sums<kM, kN>& s, const Band& band, int row, int column) {
    const int lane = lane_of_warp();
    const int difference = column + lane % 4 * 2 - row - lane / 4;
    const auto width = static_cast<unsigned>(band.high - band.low);
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int n = 0; n < kN; ++n)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                const int off = difference + 8 * n + e % 2 - 16 * m - e / 2 * 8 - band.low;
                if (static_cast<unsigned>(off) > width) s[m][n][e] = -kInfinity;
            }
}

/// From x = q.k to log2(e) times the score: x to_log2, or with a cap c first x = c log2(e) tanh(scale x / c) and to_log2 = 1.
struct ScoreMap {
    float to_log2;
    float inner, outer;  ///< tanh(y) of y = x inner / (2 log2(e)); outer 0: no cap
    ScoreMap(float scale, float softcap)
        : to_log2(softcap > 0.0F ? 1.0F : scale * kLog2e),
          inner(softcap > 0.0F ? 2.0F * kLog2e * scale / softcap : 0.0F),
          outer(softcap * kLog2e) {}
    [[nodiscard]] __device__ bool capped() const { return outer > 0.0F; }
    /// tanh(y) = 1 - 2 / (e^2y + 1), to within a rounding of 1.
    [[nodiscard]] __device__ float tanh(float x) const { return 1.0F - __fdividef(2.0F, exp2_fast(x * inner) + 1.0F); }
};

template <int kM, int kN>
__device__ void cap(Sums<kM, kN>& s, const ScoreMap& map) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int n = 0; n < kN; ++n)
#pragma unroll
            for (int e = 0; e < 4; ++e) s[m][n][e] = map.outer * map.tanh(s[m][n][e]);
}
/// And the gradient g with respect to the capped score becomes that with respect to the score: times 1 - tanh^2.
template <int kM, int kN>
__device__ void cap(Sums<kM, kN>& s, Sums<kM, kN>& g, const ScoreMap& map) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int n = 0; n < kN; ++n)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                const float t = map.tanh(s[m][n][e]);
                s[m][n][e] = map.outer * t;
                g[m][n][e] *= 1.0F - t * t;
            }
}

/// Writes the warp's sums, times a factor for each of a thread's rows, through rows from `row` of a tile that only this warp still uses:
/// the first `rows` of them to `to`, in pieces of 16 bytes.
template <class T, int kRows, int D, int kM>
__device__ void store_sums(const Sums<kM, D / 8>& x, const float (&factor)[kM][2], SharedTile<T, kRows, D>& tile, int row, T* to,
                           std::int64_t stride, int rows, int head_dim) {
    const int lane = lane_of_warp();
    __syncwarp();  // the warp has read what lies there
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int n = 0; n < D / 8; ++n)
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                const float f = factor[m][h];
                const Pack<T, 2> pair{narrow<T>(x[m][n][2 * h] * f), narrow<T>(x[m][n][2 * h + 1] * f)};
                store(tile.at(row + 16 * m + 8 * h + lane / 4, n) + lane % 4 * 2, pair);
            }
    __syncwarp();
    constexpr int kPieces = D / 8;
    for (int i = lane; i < 16 * kM * kPieces; i += kWarp) {
        const int r = i / kPieces, piece = i % kPieces;
        if (r < rows && 8 * piece < head_dim) store(to + r * stride + 8 * piece, load<8>(tile.at(row + r, piece)));
    }
}

/// f(D) with the smallest of the sizes that kernels are compiled for in which a head fits.
template <class F>
Status with_head_size(int head_dim, F&& f) {
    if (head_dim <= 64) return f(std::integral_constant<int, 64>{});
    if (head_dim <= 96) return f(std::integral_constant<int, 96>{});
    if (head_dim <= 128) return f(std::integral_constant<int, 128>{});
    return f(std::integral_constant<int, 256>{});
}
/// f(Tag<T>{}) with the 16-bit type.
template <class F>
Status with_half(Element element, F&& f) {
    return element == Element::BF16 ? f(Tag<bf16>{}) : f(Tag<fp16>{});
}

}  // namespace tandem::cuda
