#include "kernels/cuda/attention_plain.cuh"

#include "kernels/cuda/launch.cuh"

namespace tandem::cuda {

namespace {

using namespace plain;

constexpr float kInfinity = __builtin_inff();

/// Over the 8 threads that share rows.
template <class F>
__device__ float reduce_row(float x, F combine) {
    for (int distance = 4; distance > 0; distance /= 2) x = combine(x, __shfl_xor_sync(kAllLanes, x, distance));
    return x;
}

/// Block: kTile queries of one head and sample, kColumns columns of o. The first columns' block writes lse.
template <class T>
__global__ void __launch_bounds__(kThreads)
    forward(AttentionShape shape, Matrix<const T> q, Matrix<const T> k, Matrix<const T> v, Matrix<T> o, float* lse) {
    const BlockWork work = query_tile<kTile>(shape.samples, shape.heads);
    const Sample& sample = work.sample;
    if (work.first >= sample.queries) return;
    auto& tiles = shared<Shared>();
    const int d = shape.head_dim, kv_head = work.head / (shape.heads / shape.kv_heads), column = static_cast<int>(blockIdx.y) * kColumns;
    const Head<T> queries(q, sample.q_begin, sample.queries, work.head, d);
    const Head<T> keys(k, sample.k_begin, sample.keys, kv_head, d), values(v, sample.k_begin, sample.keys, kv_head, d);
    const Band band = keys_seen(sample, shape.window);
    const Span seen = columns_of(band, work.first, min(kTile, sample.queries - work.first), sample.keys);

    Results sum = {};
    float largest[4], total[4] = {}, s[4][4];
    for (float& x : largest) x = -kInfinity;
    for (int key = seen.first / kTile * kTile; key < seen.last; key += kTile) {
        products(s, tiles, queries, work.first, keys, key);
        for (int r = 0; r < 4; ++r) {
            const int i = work.first + down() + 8 * r;
            float most = -kInfinity;
            for (int c = 0; c < 4; ++c) {
                s[r][c] = sees(band, i, key + across() + 8 * c) ? capped(s[r][c] * shape.scale, shape.softcap) : -kInfinity;
                most = max(most, s[r][c]);
            }
            const float next = max(largest[r], reduce_row(most, Max{}));
            const float rescale = largest[r] == next ? 1.0F : expf(largest[r] - next);
            largest[r] = next;
            float part = 0.0F;
            for (int c = 0; c < 4; ++c) part += s[r][c] = s[r][c] == -kInfinity ? 0.0F : expf(s[r][c] - next);
            total[r] = total[r] * rescale + part;
            for (float& x : sum[r]) x *= rescale;
        }
        accumulate(sum, tiles, s, values, key, column);
    }
    for (int r = 0; r < 4; ++r) {
        const int i = work.first + down() + 8 * r;
        total[r] = reduce_row(total[r], Sum{});
        if (column == 0 && across() == 0 && i < sample.queries)
            lse[std::int64_t{work.head} * shape.samples.q_tokens + sample.q_begin + i] = largest[r] + logf(total[r]);
        total[r] = 1.0F / total[r];
    }
    store_results(sum, total, o, sample.q_begin, sample.queries, work.head, d, work.first, column);
}

/// p and ds of a tile, both [rows, columns] as x and y are: x is q or k, and dx the do or v beside it.
struct Gradient {
    float p[4][4], ds[4][4];

    /// Rows are queries and columns keys, or the other way round. lse and delta are of the sample's queries.
    template <bool kQueriesAreRows, class T>
    __device__ void compute(const AttentionShape& shape, Shared& tiles, const Head<T>& x, const Head<T>& dx, int row, const Head<T>& y,
                            const Head<T>& dy, int column, const Band& band, const float* lse, const float* delta) {
        products(p, tiles, x, row, y, column);
        products(ds, tiles, dx, row, dy, column);
#pragma unroll
        for (int r = 0; r < 4; ++r)
#pragma unroll
            for (int c = 0; c < 4; ++c) {
                const int i = row + down() + 8 * r, j = column + across() + 8 * c;
                const int query = kQueriesAreRows ? i : j;
                const bool visible = i < x.tokens && j < y.tokens && sees(band, i, j);
                const float s = capped(p[r][c] * shape.scale, shape.softcap);
                const float slope = shape.softcap > 0.0F ? 1.0F - s / shape.softcap * (s / shape.softcap) : 1.0F;
                p[r][c] = visible ? expf(s - lse[query]) : 0.0F;
                ds[r][c] = visible ? p[r][c] * (ds[r][c] - delta[query]) * slope : 0.0F;
            }
    }
};

/// Block: kTile queries of one head and sample, kColumns columns of dq.
template <class T>
__global__ void __launch_bounds__(kThreads) query_gradient(AttentionShape shape, Matrix<const T> d_o, Matrix<const T> q, Matrix<const T> k,
                                                           Matrix<const T> v, const float* lse, const float* delta, Matrix<T> dq) {
    const BlockWork work = query_tile<kTile>(shape.samples, shape.heads);
    const Sample& sample = work.sample;
    if (work.first >= sample.queries) return;
    auto& tiles = shared<Shared>();
    const int d = shape.head_dim, kv_head = work.head / (shape.heads / shape.kv_heads), column = static_cast<int>(blockIdx.y) * kColumns;
    const Head<T> queries(q, sample.q_begin, sample.queries, work.head, d), d_outputs(d_o, sample.q_begin, sample.queries, work.head, d);
    const Head<T> keys(k, sample.k_begin, sample.keys, kv_head, d), values(v, sample.k_begin, sample.keys, kv_head, d);
    const Band band = keys_seen(sample, shape.window);
    const Span seen = columns_of(band, work.first, min(kTile, sample.queries - work.first), sample.keys);
    const std::int64_t statistics = std::int64_t{work.head} * shape.samples.q_tokens + sample.q_begin;
    Results sum = {};
    Gradient gradient;
    for (int key = seen.first / kTile * kTile; key < seen.last; key += kTile) {
        gradient.compute<true>(shape, tiles, queries, d_outputs, work.first, keys, values, key, band, lse + statistics, delta + statistics);
        accumulate(sum, tiles, gradient.ds, keys, key, column);
    }
    const float factor[4] = {shape.scale, shape.scale, shape.scale, shape.scale};
    store_results(sum, factor, dq, sample.q_begin, sample.queries, work.head, d, work.first, column);
}

/// Block: kTile keys of one key/value head and sample, kColumns columns of dk and dv; all heads that read them, one after the other.
template <class T>
__global__ void __launch_bounds__(kThreads)
    key_gradient(AttentionShape shape, Matrix<const T> d_o, Matrix<const T> q, Matrix<const T> k, Matrix<const T> v, const float* lse,
                 const float* delta, Matrix<T> dk, Matrix<T> dv) {
    const BlockWork work = key_tile<kTile>(shape.samples, shape.kv_heads);
    const Sample& sample = work.sample;
    if (work.first >= sample.keys) return;
    if (sample.queries != sample.keys) give_up();
    auto& tiles = shared<Shared>();
    const int d = shape.head_dim, group = shape.heads / shape.kv_heads, column = static_cast<int>(blockIdx.y) * kColumns;
    const Head<T> keys(k, sample.k_begin, sample.keys, work.head, d), values(v, sample.k_begin, sample.keys, work.head, d);
    const Band band = queries_seeing(sample, shape.window);
    const Span seen = columns_of(band, work.first, min(kTile, sample.keys - work.first), sample.queries);
    Results dk_sum = {}, dv_sum = {};
    Gradient gradient;
    for (int head = work.head * group; head < (work.head + 1) * group; ++head) {
        const Head<T> queries(q, sample.q_begin, sample.queries, head, d), d_outputs(d_o, sample.q_begin, sample.queries, head, d);
        const std::int64_t statistics = std::int64_t{head} * shape.samples.q_tokens + sample.q_begin;
        for (int query = seen.first / kTile * kTile; query < seen.last; query += kTile) {
            gradient.compute<false>(shape, tiles, keys, values, work.first, queries, d_outputs, query, band, lse + statistics,
                                    delta + statistics);
            accumulate(dv_sum, tiles, gradient.p, d_outputs, query, column);
            accumulate(dk_sum, tiles, gradient.ds, queries, query, column);
        }
    }
    const float factor[4] = {shape.scale, shape.scale, shape.scale, shape.scale}, one[4] = {1.0F, 1.0F, 1.0F, 1.0F};
    store_results(dk_sum, factor, dk, sample.k_begin, sample.keys, work.head, d, work.first, column);
    store_results(dv_sum, one, dv, sample.k_begin, sample.keys, work.head, d, work.first, column);
}

Launch launch_of(const char* name, const AttentionShape& shape, int tokens, int heads) {
    const unsigned tiles = tile_bound<kTile>(tokens, shape.samples.count);
    const auto columns = static_cast<unsigned>((shape.head_dim + kColumns - 1) / kColumns);
    return {name, {tiles * static_cast<unsigned>(heads), columns}, kThreads, sizeof(Shared)};
}

}  // namespace

Status launch_plain_attention(const AttentionShape& shape, const AttentionInputs& in, const Rows& o, float* lse, StreamHandle stream) {
    return with_element(o.type, [&]<class T>(Tag<T>) {
        return cuda::launch(launch_of("attention (plain)", shape, shape.samples.q_tokens, shape.heads), stream, forward<T>, shape,
                            matrix<const T>(in.q), matrix<const T>(in.k), matrix<const T>(in.v), matrix<T>(o), lse);
    });
}

Status launch_plain_attention_backward(const AttentionShape& shape, const Rows& d_o, const AttentionInputs& in, const float* lse,
                                       const float* delta, const AttentionGradients& out, StreamHandle stream) {
    return with_element(d_o.type, [&]<class T>(Tag<T>) {
        const auto x = matrix<const T>(d_o), q = matrix<const T>(in.q), k = matrix<const T>(in.k), v = matrix<const T>(in.v);
        const Status status = cuda::launch(launch_of("attention dq (plain)", shape, shape.samples.q_tokens, shape.heads), stream,
                                           query_gradient<T>, shape, x, q, k, v, lse, delta, matrix<T>(out.dq));
        if (!status.ok()) return status;
        return cuda::launch(launch_of("attention dk, dv (plain)", shape, shape.samples.k_tokens, shape.kv_heads), stream, key_gradient<T>,
                            shape, x, q, k, v, lse, delta, matrix<T>(out.dk), matrix<T>(out.dv));
    });
}

}  // namespace tandem::cuda
