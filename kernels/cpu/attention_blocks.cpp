#include "kernels/cpu/attention_blocks.h"

#include <algorithm>

#include "kernels/cpu/convert.h"

namespace tandem::cpu {

Span Sample::keys_of(Span q) const { return {std::max<std::int64_t>(0, q.first + low()), std::min(keys, q.last - 1 + high())}; }

Span Sample::queries_of(Span k) const { return {std::max<std::int64_t>(0, k.first - high() + 1), std::min(queries, k.last - low())}; }

namespace {

Span tile_or_half(std::int64_t first, std::int64_t last, bool whole) {
    return {first, std::min(last, first + (whole ? kTile : kTile / 2))};
}

}  // namespace

Span Sample::next_keys(Span q, std::int64_t first, std::int64_t last) const {
    return tile_or_half(first, last, all_visible(q, {first, std::min(last, first + kTile)}));
}

Span Sample::next_queries(Span k, std::int64_t first, std::int64_t last) const {
    return tile_or_half(first, last, all_visible({first, std::min(last, first + kTile)}, k));
}

Span columns_within(Span block, Span visible) {
    const std::int64_t first = std::max(block.first, visible.first) - block.first;
    const std::int64_t last = std::min(block.last, visible.last) - block.first;
    return {first / kVector * kVector, padded(last)};
}

std::vector<Sample> samples_of(const Segments& segments, std::int64_t window, std::int64_t q_tokens, std::int64_t k_tokens) {
    const auto* q = segments.q.data<std::int32_t>();
    const auto* k = segments.k.data<std::int32_t>();
    const std::int64_t count = segments.q.extent(0) - 1;
    require(q[0] == 0 && k[0] == 0 && q[count] == q_tokens && k[count] == k_tokens,
            "attention: samples span queries [{}, {}) of {} and keys [{}, {}) of {}", q[0], q[count], q_tokens, k[0], k[count], k_tokens);
    std::vector<Sample> samples;
    for (std::int64_t b = 0; b < count; ++b) {
        const Sample sample{.q_begin = q[b],
                            .queries = q[b + 1] - q[b],
                            .k_begin = k[b],
                            .keys = k[b + 1] - k[b],
                            .window = window > 0 ? window : std::int64_t{1} << 40};
        require(sample.queries >= 0 && sample.queries <= sample.keys, "attention: sample {} has {} queries and {} keys", b, sample.queries,
                sample.keys);
        samples.push_back(sample);
    }
    return samples;
}

namespace {

template <class Cost>
std::vector<Block> blocks(const std::vector<Sample>& samples, std::int64_t Sample::*rows, const Cost& cost) {
    std::vector<Block> result;
    for (const auto& sample : samples) {
        for (std::int64_t first = 0; first < sample.*rows; first += kTile) {
            const Span span{first, std::min(sample.*rows, first + kTile)};
            result.push_back({&sample, span, cost(sample, span)});
        }
    }
    std::stable_sort(result.begin(), result.end(), [](const Block& a, const Block& b) { return a.cost > b.cost; });
    return result;
}

}  // namespace

std::vector<Block> query_blocks(const std::vector<Sample>& samples) {
    return blocks(samples, &Sample::queries, [](const Sample& s, Span q) { return s.keys_of(q).size(); });
}

std::vector<Block> key_blocks(const std::vector<Sample>& samples) {
    return blocks(samples, &Sample::keys, [](const Sample& s, Span k) { return s.queries_of(k).size(); });
}

TileSource head_rows(const Tensor& x, std::int64_t head, std::int64_t begin, Span rows) {
    return {x.dtype(), element(x, begin + rows.first, head * x.extent(2)), x.row_stride(), rows.size(), x.extent(2)};
}

TileTarget head_rows_of(const Tensor& y, std::int64_t head, std::int64_t begin, Span rows) {
    return {y.dtype(), element(y, begin + rows.first, head * y.extent(2)), y.row_stride(), rows.size(), y.extent(2)};
}

}  // namespace tandem::cpu
