// dk and dv on tensor cores. Scores are computed as s^T = k q^T: what mma leaves in a thread's registers of p^T and ds^T is the operand
// of the products with do and q, and every element of dk and dv has one writer.
#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/launch.cuh"

namespace tandem::cuda {

namespace {

/// Which results a block makes. Sums of both do not fit into registers for the largest heads.
enum class Part { Both, Keys, Values };

template <int D>
struct Sizes {
    static constexpr int kWarps = D == 128 ? 8 : 4;  ///< one block of 8 where shared memory of sm_86 has no room for two of 4
    static constexpr int kThreads = kWarps * kWarp;
    static constexpr int kKeys = 16 * kWarps;
    static constexpr int kQueries = D == 64 ? 64 : (D <= 128 ? 32 : 16);  ///< at a time
};

/// The queries of one step.
template <class T, int D>
struct Stage {
    SharedTile<T, Sizes<D>::kQueries, D> q, d_o;
    float statistics[2][Sizes<D>::kQueries];  ///< log2(e) lse; D
};
template <class T, int D>
struct Shared {
    SharedTile<T, Sizes<D>::kKeys, D> k, v;
    Stage<T, D> stage[2];
};

template <class T>
struct Operands {
    Matrix<const T> d_o, q, k, v;
    const float *lse, *delta;
    Matrix<T> dk, dv;
};

/// The steps of a block: for every head that reads its keys, the queries that see one of them.
template <class T, int D>
struct Steps {
    static constexpr int kQueries = Sizes<D>::kQueries;
    const AttentionShape& shape;
    const Operands<T>& in;
    Sample sample;
    int first_head, first_query, tiles;

    [[nodiscard]] __device__ int count() const { return shape.heads / shape.kv_heads * tiles; }
    [[nodiscard]] __device__ int query(int step) const { return first_query + step % tiles * kQueries; }

    __device__ void start(Stage<T, D>& stage, int step) const {
        constexpr int kThreads = Sizes<D>::kThreads;
        const int i = query(step), head = first_head + step / tiles, d = shape.head_dim;
        start_tile<kThreads>(stage.q, head_row(in.q, sample.q_begin + i, head, d), in.q.stride, sample.queries - i, d);
        start_tile<kThreads>(stage.d_o, head_row(in.d_o, sample.q_begin + i, head, d), in.d_o.stride, sample.queries - i, d);
        copy_async_commit();
    }
    /// This thread's number of Stage::statistics, for the first 2 kQueries threads. Of a query that is not there p becomes 0.
    [[nodiscard]] __device__ float statistic(int step) const {
        const int thread = static_cast<int>(threadIdx.x), i = query(step) + thread % kQueries;
        const std::int64_t at = std::int64_t{first_head + step / tiles} * shape.samples.q_tokens + sample.q_begin + i;
        if (thread < kQueries) return i < sample.queries ? in.lse[at] * kLog2e : kInfinity;
        return thread < 2 * kQueries && i < sample.queries ? in.delta[at] : 0.0F;
    }
    __device__ static void put(Stage<T, D>& stage, float statistic) {
        const int thread = static_cast<int>(threadIdx.x);
        if (thread < 2 * kQueries) stage.statistics[thread / kQueries][thread % kQueries] = statistic;
    }
};

/// s^T becomes p^T, and g = do v^T - D becomes ds^T.
template <int kN>
__device__ void weigh(Sums<1, kN>& s, Sums<1, kN>& g, const float* lse, float to_log2) {
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            s[0][n][e] = exp2_fast(fmaf(s[0][n][e], to_log2, -lse[8 * n + lane_of_warp() % 4 * 2 + e % 2]));
            g[0][n][e] *= s[0][n][e];
        }
}

/// Block: kKeys keys of one key/value head and sample; warp: 16 of them. Queries come while those before them are multiplied.
template <Part kPart, class T, int D>
__global__ void __launch_bounds__(Sizes<D>::kThreads) key_gradient(AttentionShape shape, ScoreMap map, Operands<T> in) {
    constexpr int kKeys = Sizes<D>::kKeys, kQueries = Sizes<D>::kQueries, kN = kQueries / 8, kThreads = Sizes<D>::kThreads;
    const auto [sample, kv_head, first] = key_tile<kKeys>(shape.samples, shape.kv_heads);
    if (first >= sample.keys) return;
    if (sample.queries != sample.keys) give_up();
    auto& tiles = shared<Shared<T, D>>();
    const int d = shape.head_dim, row = static_cast<int>(threadIdx.x) / kWarp * 16, key = first + row;  // the warp's first
    const Band band = queries_seeing(sample, shape.window);
    const Span seen = columns_of(band, first, min(kKeys, sample.keys - first), sample.queries);
    const int start = seen.first / kQueries * kQueries;
    const Steps<T, D> steps{
        shape, in, sample, kv_head * (shape.heads / shape.kv_heads), start, (seen.last - start + kQueries - 1) / kQueries};
    start_tile<kThreads>(tiles.k, head_row(in.k, sample.k_begin + first, kv_head, d), in.k.stride, sample.keys - first, d);
    start_tile<kThreads>(tiles.v, head_row(in.v, sample.k_begin + first, kv_head, d), in.v.stride, sample.keys - first, d);
    steps.start(tiles.stage[0], 0);
    steps.put(tiles.stage[0], steps.statistic(0));

    Sums<1, D / 8> dk, dv;
    clear(dk);
    clear(dv);
    for (int step = 0, count = steps.count(); step < count; ++step) {
        const Stage<T, D>& now = tiles.stage[step % 2];
        Stage<T, D>& next = tiles.stage[(step + 1) % 2];
        const bool more = step + 1 < count;
        copy_async_wait<0>();
        __syncthreads();  // this step's queries are there, and nobody reads those of the last
        if (more) steps.start(next, step + 1);
        const float statistic = more ? steps.statistic(step + 1) : 0.0F;
        const int query = steps.query(step);
        if (key < sample.keys && !band.misses(key, 16, query, kQueries)) {
            Sums<1, kN> s, g;
            clear(s);
            multiply_transposed<T>(s, StoredRows<T, kKeys, D, 1>{tiles.k, row}, now.q);
            if constexpr (kPart == Part::Values) {
                clear(g);
            } else {
#pragma unroll
                for (int n = 0; n < kN; ++n)
#pragma unroll
                    for (int e = 0; e < 4; ++e) g[0][n][e] = -now.statistics[1][8 * n + lane_of_warp() % 4 * 2 + e % 2];
                multiply_transposed<T>(g, StoredRows<T, kKeys, D, 1>{tiles.v, row}, now.d_o);
            }
            if (map.capped()) cap(s, g, map);
            if (!band.covers(key, 16, query, kQueries)) mask(s, band, key, query);
            weigh(s, g, now.statistics[0], map.to_log2);
            std::uint32_t weights[1][kN / 2][4];
            if constexpr (kPart != Part::Keys) {
                round_sums<T>(s, weights);
                multiply<T>(dv, weights, now.d_o);
            }
            if constexpr (kPart != Part::Values) {
                round_sums<T>(g, weights);
                multiply<T>(dk, weights, now.q);
            }
        }
        if (more) steps.put(next, statistic);
    }

    if (key >= sample.keys) return;
    const float scale[1][2] = {{shape.scale, shape.scale}}, one[1][2] = {{1.0F, 1.0F}};
    const auto store = [&](const auto& sum, const auto& factor, auto& tile, const Matrix<T>& y) {
        store_sums(sum, factor, tile, row, head_row(y, sample.k_begin + key, kv_head, d), y.stride, sample.keys - key, d);
    };
    if constexpr (kPart != Part::Values) store(dk, scale, tiles.k, in.dk);
    if constexpr (kPart != Part::Keys) store(dv, one, tiles.v, in.dv);
}

template <Part kPart, class T, int D>
Status enqueue(const AttentionShape& shape, const Operands<T>& in, StreamHandle stream) {
    const Grid grid{tile_bound<Sizes<D>::kKeys>(shape.samples.k_tokens, shape.samples.count) * static_cast<unsigned>(shape.kv_heads)};
    return cuda::launch({"attention dk, dv", grid, Sizes<D>::kThreads, sizeof(Shared<T, D>)}, stream, key_gradient<kPart, T, D>, shape,
                        ScoreMap(shape.scale, shape.softcap), in);
}

}  // namespace

Status launch_attention_key_gradient(const AttentionShape& shape, const Rows& d_o, const AttentionInputs& in, const float* lse,
                                     const float* delta, const Rows& dk, const Rows& dv, StreamHandle stream) {
    return with_half(d_o.type, [&]<class T>(Tag<T>) {
        const Operands<T> operands{matrix<const T>(d_o), matrix<const T>(in.q), matrix<const T>(in.k), matrix<const T>(in.v), lse, delta,
                                   matrix<T>(dk),        matrix<T>(dv)};
        return with_head_size(shape.head_dim, [&]<int D>(std::integral_constant<int, D>) {
            if constexpr (D <= 128) {
                return enqueue<Part::Both, T, D>(shape, operands, stream);
            } else {
                const Status status = enqueue<Part::Keys, T, D>(shape, operands, stream);
                return status.ok() ? enqueue<Part::Values, T, D>(shape, operands, stream) : status;
            }
        });
    });
}

}  // namespace tandem::cuda
