#include "kernels/ops/attention.h"

#include <cmath>

#include "kernels/cpu/attention_blocks.h"
#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

/// Of every query of a block: the running maximum and sum of exponentials, and what earlier sums are multiplied with.
struct SoftmaxState {
    float *max, *sum, *correction;
};

// scores [keys, kTile], a query per column (`columns` of them, a multiple of kVector), become exp(score - max): queries lie along vectors,
// so that no sum or maximum crosses lanes. A query that has seen no key yet keeps max = -inf and exponents of 0, not of -inf - -inf.
TANDEM_CLONES void softmax_columns(float* scores, std::int64_t keys, std::int64_t columns, const SoftmaxState& state) {
    float shift[kTile];
    float sum[kTile] = {};
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) shift[i] = state.max[i];
    for (std::int64_t j = 0; j < keys; ++j) {
        const float* row = scores + j * kTile;
#pragma omp simd
        for (std::int64_t i = 0; i < columns; ++i) shift[i] = row[i] > shift[i] ? row[i] : shift[i];
    }
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) {
        const float old = state.max[i];
        state.max[i] = shift[i];
        shift[i] = shift[i] < -3.0e38F ? 0.0F : shift[i];
        state.correction[i] = exp_fast(old - shift[i]);
    }
    for (std::int64_t j = 0; j < keys; ++j) {
        float* row = scores + j * kTile;
#pragma omp simd
        for (std::int64_t i = 0; i < columns; ++i) {
            row[i] = exp_fast(row[i] - shift[i]);
            sum[i] += row[i];
        }
    }
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) state.sum[i] = state.sum[i] * state.correction[i] + sum[i];
}

TANDEM_CLONES void scale_rows(float* x, std::int64_t rows, std::int64_t columns, const float* scale) {
    for (std::int64_t r = 0; r < rows; ++r) {
        float* row = x + r * columns;
        const float s = scale[r];
#pragma omp simd
        for (std::int64_t i = 0; i < columns; ++i) row[i] *= s;
    }
}

namespace {

/// Columns of one work item: `heads` query heads of one key/value head, times the queries of a block. Either number is 1:
/// whole blocks of queries in training, all heads that read the same keys when one token is generated.
struct Columns {
    const Sample* sample;
    Span queries;
    std::int64_t head, heads;
    [[nodiscard]] std::int64_t count() const { return heads * queries.size(); }
};

struct Forward {
    const Attention& params;
    const Tensor &q, &k, &v, &o, &lse;

    [[nodiscard]] std::int64_t width() const { return padded(q.extent(2)); }
    /// o and lse of one item; `scratch` has attention_tiles() floats.
    void run(const Columns& item, float* scratch) const {
        const std::int64_t d = q.extent(2);
        const std::int64_t count = item.count();
        const std::int64_t kv_head = item.head / (q.extent(1) / k.extent(1));
        float* q_t = scratch;
        float* k_tile = q_t + kTile * width();
        float* v_tile = k_tile + kTile * width();
        float* sum = v_tile + kTile * width();
        float* scores = sum + kTile * width();
        float max_exp[kTile], sum_exp[kTile], correction[kTile];
        std::fill_n(max_exp, kTile, -std::numeric_limits<float>::infinity());
        std::fill_n(sum_exp, kTile, 0.0F);
        std::fill_n(sum, kTile * width(), 0.0F);
        load_queries(item, q_t, k_tile);
        const Sample& sample = *item.sample;
        const Span visible = sample.keys_of(item.queries);
        for (Span keys{0, visible.first}; keys.last < visible.last;) {
            keys = sample.next_keys(item.queries, keys.last, visible.last);
            load_tile(head_rows(k, kv_head, sample.k_begin, keys), k_tile);
            load_tile(head_rows(v, kv_head, sample.k_begin, keys), v_tile);
            const Span columns = item.heads > 1 ? Span{0, padded(count)} : columns_within(item.queries, sample.queries_of(keys));
            const std::int64_t c = columns.first;
            // s^T = k q^T;  o = correction o + p v
            tile_product(keys.size(), columns.size(), d, k_tile, width(), q_t + c, kTile, scores + c, kTile, Write::Overwrite);
            if (params.softcap > 0.0) softcap_tile(scores, keys.size() * kTile, static_cast<float>(params.softcap));
            mask(item, keys, scores);
            softmax_columns(scores + c, keys.size(), columns.size(), {max_exp + c, sum_exp + c, correction + c});
            const std::int64_t rows = std::min(count, columns.last) - c;
            scale_rows(sum + c * width(), rows, width(), correction + c);
            tile_product_transposed(rows, width(), keys.size(), scores + c, kTile, v_tile, width(), sum + c * width(), width(),
                                    Write::Accumulate);
        }
        finish(item, sum, max_exp, sum_exp);
    }

private:
    void load_queries(const Columns& item, float* q_t, float* scratch) const {
        std::fill_n(q_t, q.extent(2) * kTile, 0.0F);
        for (std::int64_t g = 0; g < item.heads; ++g) {
            load_tile_transposed(head_rows(q, item.head + g, item.sample->q_begin, item.queries), static_cast<float>(params.scale),
                                 q_t + g * item.queries.size(), scratch);
        }
    }

    // Row r is key keys.first + r and column c query queries.first + c: solved for c, the band of Sample.
    static void mask(const Columns& item, Span keys, float* scores) {
        if (item.sample->all_visible(item.queries, keys)) return;
        const std::int64_t shift = keys.first - item.queries.first + 1;
        mask_outside_band(scores, keys.size(), shift - item.sample->high(), shift - item.sample->low(),
                          -std::numeric_limits<float>::infinity());
    }

    void finish(const Columns& item, const float* sum, const float* max_exp, const float* sum_exp) const {
        const std::int64_t token = item.sample->q_begin + item.queries.first;
        const std::int64_t rows = item.queries.size();
        float inverse[kTile];
        for (std::int64_t c = 0; c < item.count(); ++c) {
            inverse[c] = 1.0F / sum_exp[c];
            *element<float>(lse, item.head + c / rows, token + c % rows) = max_exp[c] + std::log(sum_exp[c]);
        }
        for (std::int64_t g = 0; g < item.heads; ++g) {
            store_tile(sum + g * rows * width(), inverse + g * rows, head_rows_of(o, item.head + g, item.sample->q_begin, item.queries));
        }
    }
};

/// Query heads of one item: with one query a sample, as many as read the same keys (and fit).
std::int64_t heads_per_item(const std::vector<Sample>& samples, std::int64_t group) {
    const bool generating = std::all_of(samples.begin(), samples.end(), [](const Sample& s) { return s.queries <= 1; });
    std::int64_t heads = generating ? std::min(group, kTile) : 1;
    while (group % heads != 0) --heads;
    return heads;
}

}  // namespace

}  // namespace cpu

void CpuBackend::attention(Context& ctx, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k,
                           const Tensor& v, const Tensor& o, const Tensor& lse) {
    cpu::require_computable(q);
    const auto samples = cpu::samples_of(segments, params.window, q.extent(0), k.extent(0));
    const auto blocks = cpu::query_blocks(samples);
    const std::int64_t heads = cpu::heads_per_item(samples, q.extent(1) / k.extent(1));
    const std::int64_t items_per_block = q.extent(1) / heads;
    const cpu::Forward forward{params, q, k, v, o, lse};
    ArenaScope scope(ctx.workspace);
    const Tensor scratch = cpu::take_attention_scratch(ctx, threads_, cpu::attention_tiles(q.extent(2)));
    cpu::parallel_items(threads_, static_cast<std::int64_t>(blocks.size()) * items_per_block, [&](std::int64_t i, int thread) {
        const auto& block = blocks[static_cast<std::size_t>(i / items_per_block)];
        forward.run({block.sample, block.rows, i % items_per_block * heads, heads}, cpu::element<float>(scratch, thread, 0));
    });
}

}  // namespace tandem
