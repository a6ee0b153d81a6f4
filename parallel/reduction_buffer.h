// How much buffer reductions over MPI take: said once for the communicator and for the dry run.
#pragma once

#include <algorithm>
#include <cstddef>

namespace tandem {

/// Bytes that one reduction moves at a time.
inline constexpr std::size_t kReductionChunk = std::size_t{16} << 20U;
/// Below this many bytes latency decides, and gathering everything everywhere is the fewest messages.
inline constexpr std::size_t kSmallReduction = 32768;

/// Bytes of buffer for reductions of tensors of up to `largest` bytes over `ranks` ranks: every rank's share of a chunk, from
/// every rank, one element of rounding each.
[[nodiscard]] inline std::size_t reduction_buffer_bytes(std::size_t largest, int ranks, std::size_t chunk) {
    if (ranks == 1 || largest == 0) return 0;
    return std::max(std::min(largest, chunk), kSmallReduction) + static_cast<std::size_t>(ranks) * sizeof(double);
}

}  // namespace tandem
