#include "kernels/ops/four_bit_matrix.h"

#include <algorithm>

namespace tandem {

std::int64_t BlockGrid::line_blocks() const {
    if (elements() == 0) return 0;
    std::int64_t most = 0;
    // The phase in which a line begins repeats after block_size lines at the latest.
    for (std::int64_t line = 0; line < std::min(lines(), block_size); ++line)
        most = std::max(most, (line_first(line) + line_elements() - 1) / block_size - first_block(line) + 1);
    return most;
}

}  // namespace tandem
