// The forward pass on tensor cores (FlashAttention-2, arXiv 2307.08691, algorithm 1).
#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/launch.cuh"

namespace tandem::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;

/// Sizes by head size: as many rows a warp as registers hold sums for, and as many keys at a time as leave room in shared memory for two
/// blocks on every architecture up to D = 128.
template <int D>
struct Sizes {
    static constexpr int kM = D <= 128 ? 2 : 1;  ///< tiles of 16 queries a warp
    static constexpr int kQueries = 16 * kM * kWarps;
    static constexpr int kKeys = D <= 96 ? 64 : 32;
};

template <class T, int D>
struct Shared {
    SharedTile<T, Sizes<D>::kQueries, D> q;
    SharedTile<T, Sizes<D>::kKeys, D> k, v;
};

/// Sums of exponentials of a thread's rows relative to a score near the row's largest. What was summed is rescaled when a score exceeds
/// the reference by kSlack (a factor of 256, which no sum overflows by), not at every new maximum: seldom after the first tile.
template <int kM>
struct OnlineSoftmax {
    static constexpr float kSlack = 8.0F;
    float reference[kM][2];  ///< in scores before ScoreMap::to_log2
    float sum[kM][2];        ///< of this thread's columns

    __device__ OnlineSoftmax() {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int h = 0; h < 2; ++h) reference[m][h] = -kInfinity, sum[m][h] = 0.0F;
    }

    /// Of rows that have seen nothing yet the reference is -infinity, and differences are taken from 0.
    [[nodiscard]] __device__ static float finite(float x) { return x == -kInfinity ? 0.0F : x; }

    template <int kColumns>
    __device__ void rescale(const float (&largest)[kM][2], Sums<kM, kColumns>& o, float to_log2) {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                const float next = max(reference[m][h], largest[m][h]);
                const float factor = exp2_fast((reference[m][h] - finite(next)) * to_log2);
                reference[m][h] = next;
                sum[m][h] *= factor;
#pragma unroll
                for (int n = 0; n < kColumns; ++n) o[m][n][2 * h] *= factor, o[m][n][2 * h + 1] *= factor;
            }
    }

    /// Scores become probabilities without their denominator, and o is on the same reference.
    template <int kN, int kColumns>
    __device__ void step(Sums<kM, kN>& s, Sums<kM, kColumns>& o, float to_log2) {
        float largest[kM][2];
        bool grown = false;
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                float x = -kInfinity;
#pragma unroll
                for (int n = 0; n < kN; ++n) x = max(x, max(s[m][n][2 * h], s[m][n][2 * h + 1]));
                x = max(x, __shfl_xor_sync(kAllLanes, x, 1));
                largest[m][h] = x = max(x, __shfl_xor_sync(kAllLanes, x, 2));
                grown = grown || (x - finite(reference[m][h])) * to_log2 > kSlack || (reference[m][h] == -kInfinity && x > -kInfinity);
            }
        if (__any_sync(kAllLanes, grown)) rescale(largest, o, to_log2);
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                const float shift = -finite(reference[m][h]) * to_log2;
#pragma unroll
                for (int n = 0; n < kN; ++n)
#pragma unroll
                    for (int e = 2 * h; e < 2 * h + 2; ++e) sum[m][h] += s[m][n][e] = exp2_fast(fmaf(s[m][n][e], to_log2, shift));
            }
    }

    /// The rows' whole sums become 1 / sum. Returns lse in `lse`.
    __device__ void finish(float (&lse)[kM][2], float to_log2) {
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                float x = sum[m][h];
                x += __shfl_xor_sync(kAllLanes, x, 1);
                x += __shfl_xor_sync(kAllLanes, x, 2);
                lse[m][h] = reference[m][h] * to_log2 * kLn2 + logf(x);
                sum[m][h] = 1.0F / x;
            }
    }
};

/// Block: kQueries queries of one head and sample; warp: 16 kM of them. Keys and values come in turns, each while the other is multiplied.
template <class T, int D>
__global__ void __launch_bounds__(kThreads, 2)
    forward(AttentionShape shape, ScoreMap map, Matrix<const T> q, Matrix<const T> k, Matrix<const T> v, Matrix<T> o, float* lse) {
    constexpr int kM = Sizes<D>::kM, kQueries = Sizes<D>::kQueries, kKeys = Sizes<D>::kKeys, kN = kKeys / 8;
    const auto [sample, head, first] = query_tile<kQueries>(shape.samples, shape.heads);
    if (first >= sample.queries) return;
    auto& tiles = shared<Shared<T, D>>();
    const int d = shape.head_dim, kv_head = head / (shape.heads / shape.kv_heads);
    const Band band = keys_seen(sample, shape.window);
    const Span keys = columns_of(band, first, min(kQueries, sample.queries - first), sample.keys);
    const int row = static_cast<int>(threadIdx.x) / kWarp * 16 * kM, query = first + row;  // the warp's first
    const auto start_keys = [&](auto& tile, const Matrix<const T>& x, int key) {
        start_tile<kThreads>(tile, head_row(x, sample.k_begin + key, kv_head, d), x.stride, sample.keys - key, d);
        copy_async_commit();
    };
    start_tile<kThreads>(tiles.q, head_row(q, sample.q_begin + first, head, d), q.stride, sample.queries - first, d);
    int key = keys.first / kKeys * kKeys;
    start_keys(tiles.k, k, key);

    OnlineSoftmax<kM> softmax;
    Sums<kM, D / 8> sum;
    clear(sum);
    for (; key < keys.last; key += kKeys) {
        const bool idle = query >= sample.queries || band.misses(query, 16 * kM, key, kKeys);
        std::uint32_t p[kM][kN / 2][4];
        copy_async_wait<0>();
        __syncthreads();  // keys are there, and nobody reads the values before these
        start_keys(tiles.v, v, key);
        if (!idle) {
            Sums<kM, kN> s;
            clear(s);
            multiply_transposed<T>(s, StoredRows<T, kQueries, D, kM>{tiles.q, row}, tiles.k);
            if (map.capped()) cap(s, map);
            if (!band.covers(query, 16 * kM, key, kKeys)) mask(s, band, query, key);
            softmax.step(s, sum, map.to_log2);
            round_sums<T>(s, p);
        }
        copy_async_wait<0>();
        __syncthreads();  // values are there, and nobody reads these keys
        if (key + kKeys < keys.last) start_keys(tiles.k, k, key + kKeys);
        if (!idle) multiply<T>(sum, p, tiles.v);
    }

    if (query >= sample.queries) return;
    float row_lse[kM][2];
    softmax.finish(row_lse, map.to_log2);
    const int lane = lane_of_warp();
    for (int m = 0; m < kM; ++m)
        for (int h = 0; h < 2; ++h) {
            const int i = query + 16 * m + 8 * h + lane / 4;
            if (lane % 4 == 0 && i < sample.queries) lse[std::int64_t{head} * shape.samples.q_tokens + sample.q_begin + i] = row_lse[m][h];
        }
    store_sums(sum, softmax.sum, tiles.q, row, head_row(o, sample.q_begin + query, head, d), o.stride, sample.queries - query, d);
}

}  // namespace

Status launch_attention(const AttentionShape& shape, const AttentionInputs& in, const Rows& o, float* lse, StreamHandle stream) {
    return with_half(o.type, [&]<class T>(Tag<T>) {
        return with_head_size(shape.head_dim, [&]<int D>(std::integral_constant<int, D>) {
            const Grid grid{tile_bound<Sizes<D>::kQueries>(shape.samples.q_tokens, shape.samples.count) *
                            static_cast<unsigned>(shape.heads)};
            return cuda::launch({"attention", grid, kThreads, sizeof(Shared<T, D>)}, stream, forward<T, D>, shape,
                                ScoreMap(shape.scale, shape.softcap), matrix<const T>(in.q), matrix<const T>(in.k), matrix<const T>(in.v),
                                matrix<T>(o), lse);
        });
    });
}

}  // namespace tandem::cuda
