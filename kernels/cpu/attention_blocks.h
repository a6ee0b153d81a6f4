// How attention is cut into work items: blocks of up to kTile queries or keys of one sample, times heads.
#pragma once

#include <limits>
#include <vector>

#include "kernels/cpu/tiles.h"
#include "kernels/ops/types.h"

namespace tandem::cpu {

/// Half-open range of indices inside a sample.
struct Span {
    std::int64_t first, last;
    [[nodiscard]] std::int64_t size() const { return last - first; }
};

/// One sample of a packed batch and the band of pairs that see each other.
struct Sample {
    std::int64_t q_begin, queries, k_begin, keys;
    std::int64_t window;  ///< keys a query sees; the mask's 0 (all) is stored as a very large number

    /// Key j is seen by query i exactly if j lies in [i + low(), i + high()).
    [[nodiscard]] std::int64_t high() const { return keys - queries + 1; }
    [[nodiscard]] std::int64_t low() const { return high() - window; }

    [[nodiscard]] Span keys_of(Span q) const;     ///< seen by at least one of these queries
    [[nodiscard]] Span queries_of(Span k) const;  ///< that see at least one of these keys
    /// Whether every one of these queries sees every one of these keys.
    [[nodiscard]] bool all_visible(Span q, Span k) const { return k.last <= q.first + high() && k.first >= q.last - 1 + low(); }

    /// What to treat at once against a block, from `first` on and before `last`: as many as fill a tile, or half of that where
    /// the edge of the band runs through it, so that less is computed in vain.
    [[nodiscard]] Span next_keys(Span q, std::int64_t first, std::int64_t last) const;
    [[nodiscard]] Span next_queries(Span k, std::int64_t first, std::int64_t last) const;
};

/// The part of `block` that lies in `visible`, counted from the block's start and widened to whole vectors.
[[nodiscard]] Span columns_within(Span block, Span visible);

/// Throws unless the offsets ascend from 0 to the tokens of q and k, with no more queries than keys in a sample.
[[nodiscard]] std::vector<Sample> samples_of(const Segments& segments, std::int64_t window, std::int64_t q_tokens, std::int64_t k_tokens);

struct Block {
    const Sample* sample;
    Span rows;  ///< queries or keys
    std::int64_t cost;
};

/// Blocks of queries (or keys), those with most keys (queries) first.
[[nodiscard]] std::vector<Block> query_blocks(const std::vector<Sample>& samples);
[[nodiscard]] std::vector<Block> key_blocks(const std::vector<Sample>& samples);

/// The rows [rows.first, rows.last) + begin of head `head` of x [tokens, heads, d].
[[nodiscard]] TileSource head_rows(const Tensor& x, std::int64_t head, std::int64_t begin, Span rows);
[[nodiscard]] TileTarget head_rows_of(const Tensor& y, std::int64_t head, std::int64_t begin, Span rows);

}  // namespace tandem::cpu
