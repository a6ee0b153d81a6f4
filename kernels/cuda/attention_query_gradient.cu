// dq on tensor cores: scores are computed once more, so that every element has one writer and nothing is added up in memory.
#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/launch.cuh"

namespace tandem::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kQueries = 16 * kWarps;

template <int D>
struct Sizes {
    static constexpr int kKeys = D == 64 ? 64 : (D <= 128 ? 32 : 16);  ///< at a time
    static constexpr bool kHeld = D <= 128;                            ///< q and do stay in registers
};

template <class T, int D>
struct QueryTiles {
    SharedTile<T, kQueries, D> q, d_o;
};
template <class T, int D>
struct KeyTiles {
    SharedTile<T, Sizes<D>::kKeys, D> k, v;
};
template <class T, int D, bool kHeld = Sizes<D>::kHeld>
struct Shared {
    QueryTiles<T, D> queries;
    KeyTiles<T, D> stage[2];
};
/// What is held in registers passes through the keys' place.
template <class T, int D>
struct Shared<T, D, true> {
    union {
        QueryTiles<T, D> queries;
        KeyTiles<T, D> stage[2];
    };
};

template <class T>
struct Operands {
    Matrix<const T> d_o, q, k, v;
    const float *lse, *delta;
    Matrix<T> dq;
};

/// log2(e) lse and D of a thread's two rows, `query` being the warp's first. Of a query that is not there p becomes 0.
struct Statistics {
    float lse[2], delta[2];
    template <class T>
    __device__ Statistics(const Operands<T>& in, std::int64_t begin, int query, int queries) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const int i = query + 8 * h + lane_of_warp() / 4;
            lse[h] = i < queries ? in.lse[begin + i] * kLog2e : kInfinity;
            delta[h] = i < queries ? in.delta[begin + i] : 0.0F;
        }
    }
};

/// ds of 16 queries and all keys of a step, in g.
template <int kN, class T, int D, class Rows>
__device__ void score_gradient(Sums<1, kN>& g, const Rows& q, const Rows& d_o, const KeyTiles<T, D>& keys, const Statistics& statistics,
                               const ScoreMap& map, const Band& band, int query, int key) {
    Sums<1, kN> s;
    clear(s);
    multiply_transposed<T>(s, q, keys.k);
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) g[0][n][e] = -statistics.delta[e / 2];
    multiply_transposed<T>(g, d_o, keys.v);
    if (map.capped()) cap(s, g, map);
    if (!band.covers(query, 16, key, 8 * kN)) mask(s, band, query, key);
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) g[0][n][e] *= exp2_fast(fmaf(s[0][n][e], map.to_log2, -statistics.lse[e / 2]));
}

/// Block: kQueries queries of one head and sample; warp: 16 of them. Keys come while those before them are multiplied.
template <class T, int D>
__global__ void __launch_bounds__(kThreads, 2) query_gradient(AttentionShape shape, ScoreMap map, Operands<T> in) {
    constexpr int kKeys = Sizes<D>::kKeys, kN = kKeys / 8;
    constexpr bool kHeld = Sizes<D>::kHeld;
    using Stored = StoredRows<T, kQueries, D, 1>;
    const auto [sample, head, first] = query_tile<kQueries>(shape.samples, shape.heads);
    if (first >= sample.queries) return;
    auto& tiles = shared<Shared<T, D>>();
    const int d = shape.head_dim, kv_head = head / (shape.heads / shape.kv_heads);
    const int row = static_cast<int>(threadIdx.x) / kWarp * 16, query = first + row;  // the warp's first
    const Band band = keys_seen(sample, shape.window);
    const Span seen = columns_of(band, first, min(kQueries, sample.queries - first), sample.keys);
    const auto start_queries = [&](auto& tile, const Matrix<const T>& x) {
        start_tile<kThreads>(tile, head_row(x, sample.q_begin + first, head, d), x.stride, sample.queries - first, d);
    };
    const auto start_keys = [&](KeyTiles<T, D>& stage, int key) {
        start_tile<kThreads>(stage.k, head_row(in.k, sample.k_begin + key, kv_head, d), in.k.stride, sample.keys - key, d);
        start_tile<kThreads>(stage.v, head_row(in.v, sample.k_begin + key, kv_head, d), in.v.stride, sample.keys - key, d);
        copy_async_commit();
    };
    start_queries(tiles.queries.q, in.q);
    start_queries(tiles.queries.d_o, in.d_o);
    if constexpr (kHeld) {
        copy_async_commit();
        copy_async_wait<0>();
        __syncthreads();
    }
    using Rows = std::conditional_t<kHeld, HeldRows<D, 1>, Stored>;
    const Rows q(Stored{tiles.queries.q, row}), d_o(Stored{tiles.queries.d_o, row});
    if constexpr (kHeld) __syncthreads();  // the keys may come
    int key = seen.first / kKeys * kKeys;
    start_keys(tiles.stage[0], key);
    const Statistics statistics(in, std::int64_t{head} * shape.samples.q_tokens + sample.q_begin, query, sample.queries);

    Sums<1, D / 8> sum;
    clear(sum);
    for (int step = 0; key < seen.last; key += kKeys, ++step) {
        copy_async_wait<0>();
        __syncthreads();  // these keys are there, and nobody reads those before
        if (key + kKeys < seen.last) start_keys(tiles.stage[(step + 1) % 2], key + kKeys);
        if (query >= sample.queries || band.misses(query, 16, key, kKeys)) continue;
        const KeyTiles<T, D>& keys = tiles.stage[step % 2];
        Sums<1, kN> g;
        score_gradient(g, q, d_o, keys, statistics, map, band, query, key);
        std::uint32_t ds[1][kN / 2][4];
        round_sums<T>(g, ds);
        multiply<T>(sum, ds, keys.k);
    }

    __syncthreads();  // nobody reads keys any more
    if (query >= sample.queries) return;
    const float scale[1][2] = {{shape.scale, shape.scale}};
    store_sums(sum, scale, tiles.queries.q, row, head_row(in.dq, sample.q_begin + query, head, d), in.dq.stride, sample.queries - query, d);
}

}  // namespace

Status launch_attention_query_gradient(const AttentionShape& shape, const Rows& d_o, const AttentionInputs& in, const float* lse,
                                       const float* delta, const Rows& dq, StreamHandle stream) {
    return with_half(d_o.type, [&]<class T>(Tag<T>) {
        const Operands<T> operands{matrix<const T>(d_o), matrix<const T>(in.q), matrix<const T>(in.k), matrix<const T>(in.v), lse, delta,
                                   matrix<T>(dq)};
        return with_head_size(shape.head_dim, [&]<int D>(std::integral_constant<int, D>) {
            const Grid grid{tile_bound<kQueries>(shape.samples.q_tokens, shape.samples.count) * static_cast<unsigned>(shape.heads)};
            return cuda::launch({"attention dq", grid, kThreads, sizeof(Shared<T, D>)}, stream, query_gradient<T, D>, shape,
                                ScoreMap(shape.scale, shape.softcap), operands);
        });
    });
}

}  // namespace tandem::cuda
