// Tiles of the attention kernels that compute in fp32 without tensor cores, for what those do not take. Head dimensions of any size are
// gone through in pieces; results too long for a thread's registers are made by several blocks, each of which computes the scores again.
#pragma once

#include "kernels/cuda/attention_samples.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda::plain {

inline constexpr int kTile = 32;     ///< queries and keys of a tile, and columns of a piece
inline constexpr int kColumns = 64;  ///< of the result that a block makes
inline constexpr int kThreads = 64;  ///< 8 x 8: rows ty + 8 r, columns tx + 8 c

struct Shared {
    float x[kTile][kTile + 1], y[kTile][kTile + 1];
    float weights[kTile][kTile + 1];
    float values[kTile][kColumns + 1];
};

using Scores = float[4][4];
using Results = float[4][kColumns / 8];

__device__ inline int across() { return static_cast<int>(threadIdx.x) % 8; }
__device__ inline int down() { return static_cast<int>(threadIdx.x) / 8; }

/// x [tokens, heads, d] of one head and sample.
template <class T>
struct Head {
    const T* data;
    std::int64_t stride;
    int tokens, head_dim;
    __device__ Head(const Matrix<const T>& x, int begin, int count, int head, int d)
        : data(x.data + begin * x.stride + std::int64_t{head} * d), stride(x.stride), tokens(count), head_dim(d) {}
};

/// Rows from `row` and kWidth - 1 columns from `column`, with zeros outside.
template <class T, int kWidth>
__device__ void load_tile(float (&to)[kTile][kWidth], const Head<T>& x, int row, int column) {
    constexpr int kUsed = kWidth - 1;
    for (int i = static_cast<int>(threadIdx.x); i < kTile * kUsed; i += kThreads) {
        const int r = row + i / kUsed, c = column + i % kUsed;
        to[i / kUsed][i % kUsed] = r < x.tokens && c < x.head_dim ? widen(x.data[r * x.stride + c]) : 0.0F;
    }
}

/// s_rc = x_r . y_c for the tiles from `row` and `column`.
template <class T>
__device__ void products(Scores& s, Shared& shared, const Head<T>& x, int row, const Head<T>& y, int column) {
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < 4; ++c) s[r][c] = 0.0F;
    for (int piece = 0; piece < x.head_dim; piece += kTile) {
        __syncthreads();  // the last piece has been read
        load_tile(shared.x, x, row, piece);
        load_tile(shared.y, y, column, piece);
        __syncthreads();
        const int width = min(kTile, x.head_dim - piece);
        for (int k = 0; k < width; ++k) {
            float a[4], b[4];
            for (int r = 0; r < 4; ++r) a[r] = shared.x[down() + 8 * r][k];
            for (int c = 0; c < 4; ++c) b[c] = shared.y[across() + 8 * c][k];
            for (int r = 0; r < 4; ++r)
                for (int c = 0; c < 4; ++c) s[r][c] = fmaf(a[r], b[c], s[r][c]);
        }
    }
}

/// sum_r += sum_c w_rc y_c, with rows of y from `row` and its kColumns columns from `column`.
template <class T>
__device__ void accumulate(Results& sum, Shared& shared, const Scores& w, const Head<T>& y, int row, int column) {
    __syncthreads();  // earlier weights and values have been read
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < 4; ++c) shared.weights[down() + 8 * r][across() + 8 * c] = w[r][c];
    load_tile(shared.values, y, row, column);
    __syncthreads();
    const int count = min(kTile, y.tokens - row);
    for (int k = 0; k < count; ++k) {
        float a[4], b[kColumns / 8];
        for (int r = 0; r < 4; ++r) a[r] = shared.weights[down() + 8 * r][k];
        for (int c = 0; c < kColumns / 8; ++c) b[c] = shared.values[k][across() + 8 * c];
        for (int r = 0; r < 4; ++r)
            for (int c = 0; c < kColumns / 8; ++c) sum[r][c] = fmaf(a[r], b[c], sum[r][c]);
    }
}

/// y_r = factor_r sum_r for the tile's rows from `row` and columns from `column`.
template <class T>
__device__ void store_results(const Results& sum, const float (&factor)[4], const Matrix<T>& y, int begin, int tokens, int head, int d,
                              int row, int column) {
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < kColumns / 8; ++c) {
            const int i = row + down() + 8 * r, j = column + across() + 8 * c;
            if (i < tokens && j < d) y.data[(begin + i) * y.stride + std::int64_t{head} * d + j] = narrow<T>(sum[r][c] * factor[r]);
        }
}

__device__ inline float capped(float x, float softcap) { return softcap > 0.0F ? softcap * tanhf(x / softcap) : x; }

__device__ inline bool sees(const Band& band, int row, int column) { return column - row >= band.low && column - row <= band.high; }

}  // namespace tandem::cuda::plain
