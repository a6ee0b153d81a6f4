// dtable[ids[i]] += dy[i] in the order of i, without atomic sums: the tokens are sorted by (id, i), and then one block sums a run of equal
// ids for its columns.
//
// Sorted by counting: the place of token i is the number of tokens before it. n tokens take n^2 comparisons of two instructions each,
// which is, by calculation, 0.02 ms for 16384 tokens and 0.3 ms for 65536 on a card of 3e13 instructions a second. The sums then read dy
// once. Workspace: 4 n (rank_parts + 1) bytes, at most 68 n.
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/embedding.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kOwn = kTokenTile / kThreads;  ///< tokens of a thread: every id read from shared memory is compared with these
constexpr int kBatch = 4;                    ///< rows of dy that a thread has on their way

struct Tile {
    std::int32_t ids[kTokenTile];
};

/// Tokens of the tile that come before this thread's, when the tile's tokens have numbers below or above all of theirs.
template <class Before>
__device__ void count_before(const Tile& tile, int count, int (&ranks)[kOwn], Before before) {
#pragma unroll 4
    for (int j = 0; j < count; ++j) {
        const int other = tile.ids[j];
#pragma unroll
        for (int k = 0; k < kOwn; ++k) ranks[k] += before(other, j, k) ? 1 : 0;
    }
}

/// ranks[part, i] = the part's tokens j with (ids[j], j) < (ids[i], i). A block has one tile of i and one part of the tiles of j.
__global__ void __launch_bounds__(kThreads) rank_tokens(TokenIds tokens, std::int64_t tiles_each) {
    Tile& tile = shared<Tile>();
    const std::int64_t count = tokens.count, tiles = (count + kTokenTile - 1) / kTokenTile;
    const auto token = [&](int k) { return blockIdx.x * kTokenTile + k * kThreads + threadIdx.x; };
    int own[kOwn], ranks[kOwn] = {};
#pragma unroll
    for (int k = 0; k < kOwn; ++k) {
        own[k] = token(k) < count ? tokens.ids[token(k)] : -1;
        if (own[k] < -1 || own[k] >= tokens.vocabulary) give_up();
    }
    const std::int64_t last = min((blockIdx.y + 1) * tiles_each, tiles);
    for (std::int64_t t = blockIdx.y * tiles_each; t < last; ++t) {
        const int in_tile = static_cast<int>(min(count - t * kTokenTile, kTokenTile));
        __syncthreads();
        for (int j = threadIdx.x; j < in_tile; j += kThreads) tile.ids[j] = tokens.ids[t * kTokenTile + j];
        __syncthreads();
        if (t < blockIdx.x) {
            count_before(tile, in_tile, ranks, [&](int other, int, int k) { return other <= own[k]; });
        } else if (t > blockIdx.x) {
            count_before(tile, in_tile, ranks, [&](int other, int, int k) { return other < own[k]; });
        } else {
            const int at = static_cast<int>(threadIdx.x);
            count_before(tile, in_tile, ranks,
                         [&](int other, int j, int k) { return other < own[k] || (other == own[k] && j < k * kThreads + at); });
        }
    }
#pragma unroll
    for (int k = 0; k < kOwn; ++k)
        if (token(k) < count) tokens.ranks[blockIdx.y * count + token(k)] = ranks[k];
}

/// order[rank of i] = i
__global__ void __launch_bounds__(kThreads) order_tokens(TokenIds tokens, int parts) {
    const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
    if (i >= tokens.count) return;
    int rank = 0;
    for (int part = 0; part < parts; ++part) rank += tokens.ranks[part * std::int64_t{tokens.count} + i];
    tokens.order[rank] = static_cast<std::int32_t>(i);
}

/// One block for every place in the order and every blockDim.x kCount columns; those where no run of equal ids begins have nothing to do.
/// A warp looks at 32 places of the run at once. Bytes: dy once, used rows of dtable twice.
template <int kCount, class T>
__global__ void __launch_bounds__(kThreads) add_runs(Extent extent, TokenIds tokens, Matrix<const T> dy, Matrix<float> dtable) {
    const std::int64_t begin = blockIdx.x;
    const int id = tokens.ids[tokens.order[begin]];
    if (id < 0 || (begin > 0 && tokens.ids[tokens.order[begin - 1]] == id)) return;

    const int lane = threadIdx.x % kWarp;
    const std::int64_t column = (std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * kCount;
    const bool active = column < extent.columns;
    float* target = dtable.data + id * dtable.stride + column;
    Pack<float, kCount> sum{};
    if (active) sum = load<kCount>(target);
    int count = kWarp;
    for (std::int64_t first = begin; count == kWarp; first += kWarp) {
        const bool there = first + lane < tokens.count;
        const int token = there ? tokens.order[first + lane] : 0;
        const unsigned same = __ballot_sync(kAllLanes, there && tokens.ids[token] == id);
        count = same == kAllLanes ? kWarp : __ffs(static_cast<int>(~same)) - 1;
        for (int b = 0; b < count; b += kBatch) {
            Pack<T, kCount> values[kBatch];
#pragma unroll
            for (int k = 0; k < kBatch; ++k) {
                const std::int64_t i = __shfl_sync(kAllLanes, token, b + k);
                if (active && b + k < count) values[k] = load<kCount>(dy.data + i * dy.stride + column);
            }
#pragma unroll
            for (int k = 0; k < kBatch; ++k) {
                if (!active || b + k >= count) continue;
#pragma unroll
                for (int e = 0; e < kCount; ++e) sum.at[e] += widen(values[k].at[e]);
            }
        }
    }
    if (active) store(target, sum);
}

template <int kCount, class T>
Status enqueue_runs(Extent extent, const TokenIds& tokens, Matrix<const T> dy, Matrix<float> dtable, StreamHandle stream) {
    const std::int64_t packs = extent.columns / kCount;
    const std::int64_t threads = packs < kThreads ? (packs + kWarp - 1) / kWarp * kWarp : kThreads;
    const Grid grid{static_cast<unsigned>(tokens.count), static_cast<unsigned>((packs + threads - 1) / threads)};
    return launch({"embedding_backward", grid, static_cast<unsigned>(threads)}, stream, add_runs<kCount, T>, extent, tokens, dy, dtable);
}

Status sort_tokens(const TokenIds& tokens, StreamHandle stream) {
    const std::int64_t tiles = (tokens.count + kTokenTile - 1) / kTokenTile, parts = rank_parts(tokens.count);
    const Grid pairs{static_cast<unsigned>(tiles), static_cast<unsigned>(parts)};
    const Status status = launch({"token ranks", pairs, kThreads, sizeof(Tile)}, stream, rank_tokens, tokens, (tiles + parts - 1) / parts);
    if (!status.ok()) return status;
    const Grid all{static_cast<unsigned>((tokens.count + kThreads - 1) / kThreads)};
    return launch({"token order", all, kThreads}, stream, order_tokens, tokens, static_cast<int>(parts));
}

}  // namespace

Status launch_embedding_backward(Extent extent, const TokenIds& tokens, const Rows& dy, const Rows& dtable, StreamHandle stream) {
    if (const Status status = sort_tokens(tokens, stream); !status.ok()) return status;
    return with_element(dy.type, [&]<class T>(Tag<T>) {
        constexpr int kCount = 16 / sizeof(T);
        const auto from = matrix<const T>(dy);
        const auto to = matrix<float>(dtable);
        const bool packs = extent.columns % kCount == 0 && aligned(extent, from) && aligned({tokens.vocabulary, extent.columns}, to);
        return packs ? enqueue_runs<kCount>(extent, tokens, from, to, stream) : enqueue_runs<1>(extent, tokens, from, to, stream);
    });
}

}  // namespace tandem::cuda
