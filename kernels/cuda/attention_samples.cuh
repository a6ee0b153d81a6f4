// Which sample, and which tile of it, a block of an attention kernel works on. The host knows the number of tokens and of samples, not
// where samples begin: it launches enough blocks for every division, and those without a tile end at once.
#pragma once

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/simt.cuh"

namespace tandem::cuda {

/// One sample, in tokens. Query i is aligned with key i + shift().
struct Sample {
    int q_begin, queries, k_begin, keys;
    [[nodiscard]] __device__ int shift() const { return keys - queries; }
};

/// Row r of a tile sees column c where low <= c - r <= high.
struct Band {
    int low, high;
    [[nodiscard]] __device__ bool covers(int row, int rows, int column, int columns) const {
        return column - (row + rows - 1) >= low && column + columns - 1 - row <= high;
    }
    [[nodiscard]] __device__ bool misses(int row, int rows, int column, int columns) const {
        return column + columns - 1 - row < low || column - (row + rows - 1) > high;
    }
};
/// Rows are queries and columns keys.
__device__ inline Band keys_seen(const Sample& s, int window) { return {s.shift() - window + 1, s.shift()}; }
/// Rows are keys and columns queries.
__device__ inline Band queries_seeing(const Sample& s, int window) { return {-s.shift(), window - 1 - s.shift()}; }

struct Span {
    int first, last;
};
/// The columns in [0, columns) that any of `rows` rows from `row` sees.
__device__ inline Span columns_of(const Band& band, int row, int rows, int columns) {
    return {max(0, row + band.low), min(columns, row + rows - 1 + min(band.high, columns) + 1)};
}

/// Ends the launch where samples are not what kernels/ops/types.h says.
__device__ inline Sample sample_at(const PackedSamples& all, int number) {
    const int q = all.q[number], q_end = all.q[number + 1], k = all.k[number], k_end = all.k[number + 1];
    const bool inside = q >= 0 && k >= 0 && q_end <= all.q_tokens && k_end <= all.k_tokens;
    if (!inside || q > q_end || q_end - q > k_end - k || k_end - k > all.max_length) give_up();
    if (number == 0 && (q != 0 || k != 0 || all.q[all.count] != all.q_tokens || all.k[all.count] != all.k_tokens)) give_up();
    return {q, q_end - q, k, k_end - k};
}

/// Number of the tiles of kTile tokens that `tokens` tokens in `count` samples are at most, the last of each sample being partial.
template <int kTile>
unsigned tile_bound(int tokens, int count) {
    return static_cast<unsigned>(tokens / kTile + count);
}

/// Sample b's tiles are numbered from offsets[b] / kTile + b on: n tokens leave room for ceil(n / kTile), wherever they begin.
template <int kTile>
__device__ int sample_of_tile(const std::int32_t* offsets, int count, int tile) {
    int low = 0, high = count;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (offsets[middle] / kTile + middle <= tile) low = middle;
        else high = middle;
    }
    return low;
}

struct BlockWork {
    Sample sample;
    int head;
    int first;  ///< the tile's first token within the sample; may lie behind its last
};

/// Longest first, so that the last blocks of a launch are short ones: late queries see most keys.
template <int kTile>
__device__ BlockWork query_tile(const PackedSamples& all, int heads) {
    const int tile = static_cast<int>((gridDim.x - 1 - blockIdx.x) / static_cast<unsigned>(heads));
    const int number = sample_of_tile<kTile>(all.q, all.count, tile);
    return {sample_at(all, number), static_cast<int>(blockIdx.x % static_cast<unsigned>(heads)),
            (tile - all.q[number] / kTile - number) * kTile};
}
/// Early keys are seen by most queries.
template <int kTile>
__device__ BlockWork key_tile(const PackedSamples& all, int heads) {
    const int tile = static_cast<int>(blockIdx.x / static_cast<unsigned>(heads));
    const int number = sample_of_tile<kTile>(all.k, all.count, tile);
    return {sample_at(all, number), static_cast<int>(blockIdx.x % static_cast<unsigned>(heads)),
            (tile - all.k[number] / kTile - number) * kTile};
}

}  // namespace tandem::cuda
