// Where the moments of what a rank owns lie. Numbers only.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/gradient_buckets.h"
#include "src/engine/state_parts.h"

namespace tandem {

/// Of a bucket: moments in the accumulation type and moments in eight bits are two sequences, each with its pieces side by side.
struct BucketMoments {
    struct Piece {
        bool eight_bit;
        std::int64_t offset;  ///< in its sequence: elements, a multiple of 256
    };
    std::vector<Piece> pieces;                       ///< as OwnedShard::pieces
    std::int64_t wide = 0, eight_bit = 0;            ///< elements of the sequences, multiples of 256
    std::int64_t most_wide = 0, most_eight_bit = 0;  ///< of the data-parallel rank that has most: so much memory each of them takes
};

/// By bucket. Nothing for SGD.
[[nodiscard]] std::vector<BucketMoments> lay_out_moments(OptimizerName optimizer, const ParamTable& table, GradientBuckets& buckets);

}  // namespace tandem
