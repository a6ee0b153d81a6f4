// Where trained parameters lie in flat buckets, and which part of a bucket each data-parallel rank owns. Numbers only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "parallel/param_table.h"

namespace tandem {

/// Elements of a parameter in a stretch of a bucket: `count` from element `first` of the (row-major) box, at `offset` of the stretch.
struct BucketPiece {
    std::size_t parameter;  ///< index in the table
    std::int64_t first, count, offset;
    friend bool operator==(const BucketPiece&, const BucketPiece&) = default;
};

struct BucketLayout {
    static constexpr std::int64_t kAlignment = 256;  ///< elements: 8-bit optimizer blocks must not straddle shards

    /// The parameters, each whole, in the order of the table. They start on multiples of kAlignment, one storage after the other;
    /// rows of a storage beyond the box belong to no piece, nor does padding.
    std::vector<BucketPiece> pieces;
    std::int64_t length = 0;  ///< a multiple of ranks * kAlignment

    /// What lies in block `rank` of `ranks` equal blocks, offsets counted from the block's start.
    [[nodiscard]] std::vector<BucketPiece> block(int rank, int ranks) const;
};

/// The trained parameters of `table` by their `bucket`; numbers that none has are empty buckets. Depends on storages alone: the
/// same on all tensor-parallel ranks of a stage.
[[nodiscard]] std::vector<BucketLayout> lay_out_buckets(const ParamTable& table, int ranks);

}  // namespace tandem
