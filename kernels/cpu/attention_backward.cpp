// Two passes, one over blocks of queries for dq and one over blocks of keys for dk and dv. The scores are computed in both
// (14 instead of 10 flops a pair and element): so every gradient has one writer that sums in a fixed order, no buffer is
// larger than a tile, and there are enough work items for any number of threads.
#include "kernels/cpu/attention_blocks.h"
#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd.h"
#include "kernels/ops/attention.h"

namespace tandem {

namespace cpu {

// p = exp(s - lse) for rows of keys and columns of queries.
TANDEM_CLONES void probabilities_by_column(const float* s, const float* lse, float* p, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const float* from = s + r * kTile;
        float* to = p + r * kTile;
#pragma omp simd
        for (std::int64_t c = 0; c < columns; ++c) to[c] = exp_fast(from[c] - lse[c]);
    }
}

// The same for rows of queries and columns of keys.
TANDEM_CLONES void probabilities_by_row(const float* s, const float* lse, float* p, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const float* from = s + r * kTile;
        float* to = p + r * kTile;
        const float shift = lse[r];
#pragma omp simd
        for (std::int64_t c = 0; c < columns; ++c) to[c] = exp_fast(from[c] - shift);
    }
}

// dp becomes ds = p (dp - D) (1 - (s / cap)^2); inverse_cap = 0 without a cap.
TANDEM_CLONES void score_gradient_by_column(const float* s, const float* p, const float* delta, float inverse_cap, float* dp,
                                            std::int64_t rows, std::int64_t columns) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t at = r * kTile;
#pragma omp simd
        for (std::int64_t c = 0; c < columns; ++c) {
            const float t = s[at + c] * inverse_cap;
            dp[at + c] = p[at + c] * (dp[at + c] - delta[c]) * (1.0F - t * t);
        }
    }
}

TANDEM_CLONES void score_gradient_by_row(const float* s, const float* p, const float* delta, float inverse_cap, float* dp,
                                         std::int64_t rows, std::int64_t columns) {
    for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t at = r * kTile;
        const float shift = delta[r];
#pragma omp simd
        for (std::int64_t c = 0; c < columns; ++c) {
            const float t = s[at + c] * inverse_cap;
            dp[at + c] = p[at + c] * (dp[at + c] - shift) * (1.0F - t * t);
        }
    }
}

namespace {

template <class T>
TANDEM_INLINE float sum_of_products(const void* a, const void* b, std::int64_t n) {
    const auto* x = static_cast<const T*>(a);
    const auto* y = static_cast<const T*>(b);
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum += widen(x[i]) * widen(y[i]);
    return sum;
}

}  // namespace

TANDEM_CLONES float dot_fp32(const void* a, const void* b, std::int64_t n) { return sum_of_products<float>(a, b, n); }
TANDEM_CLONES float dot_bf16(const void* a, const void* b, std::int64_t n) { return sum_of_products<std::uint16_t>(a, b, n); }
TANDEM_CLONES float dot_fp16(const void* a, const void* b, std::int64_t n) { return sum_of_products<Float16>(a, b, n); }

namespace {

/// The tiles of one thread, cut from its scratch.
class Tiles {
public:
    explicit Tiles(float* scratch) : next_(scratch) {}
    float* take(std::int64_t floats) {
        float* tile = next_;
        next_ += floats;
        return tile;
    }

private:
    float* next_;
};

struct Gradient {
    const Attention& params;
    const Tensor &d_o, &q, &k, &v, &o, &lse, &dq, &dk, &dv;
    const Tensor& delta;  ///< D [heads, nq]

    [[nodiscard]] std::int64_t d() const { return q.extent(2); }
    [[nodiscard]] std::int64_t width() const { return padded(d()); }
    [[nodiscard]] std::int64_t group() const { return q.extent(1) / k.extent(1); }
    [[nodiscard]] float scale() const { return static_cast<float>(params.scale); }
    [[nodiscard]] float inverse_cap() const { return params.softcap > 0.0 ? static_cast<float>(1.0 / params.softcap) : 0.0F; }

    /// D_i = sum_c do_ic o_ic of one token's heads.
    void token_delta(std::int64_t i) const {
        const auto dot = by_type(o.dtype(), dot_fp32, dot_bf16, dot_fp16);
        for (std::int64_t h = 0; h < q.extent(1); ++h)
            *element<float>(delta, h, i) = dot(element(d_o, i, h * d()), element(o, i, h * d()), d());
    }

    void queries(const Block& block, std::int64_t head, float* scratch) const;
    void keys(const Block& block, std::int64_t kv_head, float* scratch) const;

private:
    void softcap(float* scores, std::int64_t rows) const {
        if (params.softcap > 0.0) softcap_tile(scores, rows * kTile, static_cast<float>(params.softcap));
    }
    void add_head(const Block& block, std::int64_t head, const float* k_t, const float* v_t, float* dk_sum, float* dv_sum,
                  Tiles tiles) const;
};

// ds^T, keys by queries: dq_i = scale sum_j ds_ij k_j
void Gradient::queries(const Block& block, std::int64_t head, float* scratch) const {
    const Sample& sample = *block.sample;
    const Span rows = block.rows;
    Tiles tiles(scratch);
    float* q_t = tiles.take(kTile * width());
    float* do_t = tiles.take(kTile * width());
    float* k_tile = tiles.take(kTile * width());
    float* v_tile = tiles.take(kTile * width());
    float* dq_sum = tiles.take(kTile * width());
    float* s = tiles.take(kTile * kTile);
    float* p = tiles.take(kTile * kTile);
    float* ds = tiles.take(kTile * kTile);
    std::fill_n(q_t, 2 * kTile * width(), 0.0F);
    std::fill_n(dq_sum, kTile * width(), 0.0F);
    load_tile_transposed(head_rows(q, head, sample.q_begin, rows), scale(), q_t, k_tile);
    load_tile_transposed(head_rows(d_o, head, sample.q_begin, rows), 1.0F, do_t, k_tile);
    float lse_rows[kTile] = {};
    float delta_rows[kTile] = {};
    std::copy_n(element<float>(lse, head, sample.q_begin + rows.first), rows.size(), lse_rows);
    std::copy_n(element<float>(delta, head, sample.q_begin + rows.first), rows.size(), delta_rows);
    const Span visible = sample.keys_of(rows);
    for (Span keys{0, visible.first}; keys.last < visible.last;) {
        keys = sample.next_keys(rows, keys.last, visible.last);
        const std::int64_t n = keys.size();
        const Span columns = columns_within(rows, sample.queries_of(keys));
        const std::int64_t c = columns.first;
        load_tile(head_rows(k, head / group(), sample.k_begin, keys), k_tile);
        load_tile(head_rows(v, head / group(), sample.k_begin, keys), v_tile);
        tile_product(n, columns.size(), d(), k_tile, width(), q_t + c, kTile, s + c, kTile, Write::Overwrite);
        softcap(s, n);
        probabilities_by_column(s + c, lse_rows + c, p + c, n, columns.size());
        if (!sample.all_visible(rows, keys)) {
            const std::int64_t shift = keys.first - rows.first + 1;
            mask_outside_band(p, n, shift - sample.high(), shift - sample.low(), 0.0F);
        }
        tile_product(n, columns.size(), d(), v_tile, width(), do_t + c, kTile, ds + c, kTile, Write::Overwrite);
        score_gradient_by_column(s + c, p + c, delta_rows + c, inverse_cap(), ds + c, n, columns.size());
        tile_product_transposed(std::min(rows.size(), columns.last) - c, width(), n, ds + c, kTile, k_tile, width(), dq_sum + c * width(),
                                width(), Write::Accumulate);
    }
    float scales[kTile];
    std::fill_n(scales, kTile, scale());
    store_tile(dq_sum, scales, head_rows_of(dq, head, sample.q_begin, rows));
}

// p and ds, queries by keys: dv_j += sum_i p_ij do_i;  dk_j += sum_i ds_ij q_i
void Gradient::add_head(const Block& block, std::int64_t head, const float* k_t, const float* v_t, float* dk_sum, float* dv_sum,
                        Tiles tiles) const {
    const Sample& sample = *block.sample;
    const Span keys = block.rows;
    float* q_tile = tiles.take(kTile * width());
    float* do_tile = tiles.take(kTile * width());
    float* s = tiles.take(kTile * kTile);
    float* p = tiles.take(kTile * kTile);
    float* ds = tiles.take(kTile * kTile);
    const Span visible = sample.queries_of(keys);
    for (Span rows{0, visible.first}; rows.last < visible.last;) {
        rows = sample.next_queries(keys, rows.last, visible.last);
        const std::int64_t n = rows.size();
        const Span columns = columns_within(keys, sample.keys_of(rows));
        const std::int64_t c = columns.first;
        const std::int64_t used = std::min(keys.size(), columns.last) - c;
        load_tile(head_rows(q, head, sample.q_begin, rows), q_tile);
        load_tile(head_rows(d_o, head, sample.q_begin, rows), do_tile);
        tile_product(n, columns.size(), d(), q_tile, width(), k_t + c, kTile, s + c, kTile, Write::Overwrite);
        softcap(s, n);
        probabilities_by_row(s + c, element<float>(lse, head, sample.q_begin + rows.first), p + c, n, columns.size());
        if (!sample.all_visible(rows, keys)) {
            const std::int64_t shift = rows.first - keys.first;
            mask_outside_band(p, n, shift + sample.low(), shift + sample.high(), 0.0F);
        }
        tile_product_transposed(used, width(), n, p + c, kTile, do_tile, width(), dv_sum + c * width(), width(), Write::Accumulate);
        tile_product(n, columns.size(), d(), do_tile, width(), v_t + c, kTile, ds + c, kTile, Write::Overwrite);
        score_gradient_by_row(s + c, p + c, element<float>(delta, head, sample.q_begin + rows.first), inverse_cap(), ds + c, n,
                              columns.size());
        tile_product_transposed(used, width(), n, ds + c, kTile, q_tile, width(), dk_sum + c * width(), width(), Write::Accumulate);
    }
}

void Gradient::keys(const Block& block, std::int64_t kv_head, float* scratch) const {
    const Sample& sample = *block.sample;
    const Span keys = block.rows;
    Tiles tiles(scratch);
    float* k_t = tiles.take(kTile * width());
    float* v_t = tiles.take(kTile * width());
    float* dk_sum = tiles.take(kTile * width());
    float* dv_sum = tiles.take(kTile * width());
    std::fill_n(k_t, 2 * kTile * width(), 0.0F);
    load_tile_transposed(head_rows(k, kv_head, sample.k_begin, keys), scale(), k_t, dk_sum);
    load_tile_transposed(head_rows(v, kv_head, sample.k_begin, keys), 1.0F, v_t, dk_sum);
    std::fill_n(dk_sum, 2 * kTile * width(), 0.0F);
    for (std::int64_t head = kv_head * group(); head < (kv_head + 1) * group(); ++head)
        add_head(block, head, k_t, v_t, dk_sum, dv_sum, tiles);
    float scales[kTile];
    std::fill_n(scales, kTile, scale());
    store_tile(dk_sum, scales, head_rows_of(dk, kv_head, sample.k_begin, keys));
    std::fill_n(scales, kTile, 1.0F);
    store_tile(dv_sum, scales, head_rows_of(dv, kv_head, sample.k_begin, keys));
}

}  // namespace

}  // namespace cpu

void CpuBackend::attention_backward(Context& ctx, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq,
                                    const Tensor& dk, const Tensor& dv) {
    cpu::require_computable(q);
    const auto samples = cpu::samples_of(segments, params.window, q.extent(0), k.extent(0));
    for (const auto& sample : samples)
        require(sample.queries == sample.keys, "attention_backward: a sample has {} queries and {} keys; equal numbers are needed",
                sample.queries, sample.keys);
    ArenaScope scope(ctx.workspace);
    const Tensor delta = cpu::take_attention_delta(ctx, q);
    const cpu::Gradient gradient{params, d_o, q, k, v, o, lse, dq, dk, dv, delta};
    const Tensor scratch = cpu::take_attention_scratch(ctx, threads_, cpu::attention_backward_tiles(q.extent(2)));
    cpu::parallel_for(threads_, q.extent(0), [&](std::int64_t i) { gradient.token_delta(i); });

    const auto each = [&](const std::vector<cpu::Block>& blocks, std::int64_t heads, auto method) {
        cpu::parallel_items(threads_, static_cast<std::int64_t>(blocks.size()) * heads, [&](std::int64_t i, int thread) {
            (gradient.*method)(blocks[static_cast<std::size_t>(i / heads)], i % heads, cpu::element<float>(scratch, thread, 0));
        });
    };
    each(cpu::query_blocks(samples), q.extent(1), &cpu::Gradient::queries);
    each(cpu::key_blocks(samples), k.extent(1), &cpu::Gradient::keys);
}

}  // namespace tandem
