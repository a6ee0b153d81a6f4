// A stretch of a flat shard as boxes of the logical tensor: what owners of state and files have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/param_table.h"

namespace tandem {

/// Elements [first, first + count) of the row-major `box` (a vector or matrix) as boxes of the global tensor, whose elements follow each
/// other in this order: an end of a row, whole rows, a beginning of a row; whole rows in boxes of at most `most` elements, or of
/// one row.
[[nodiscard]] std::vector<Box> rectangles(const Box& box, std::int64_t first, std::int64_t count, std::int64_t most);

}  // namespace tandem
