#include "parallel/nccl_memory.h"

#include <algorithm>

namespace tandem {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;

/// Both directions between two ranks in one channel: a receiver's buffers for NCCL's three protocols (512 KiB, 4.7 MiB and 4 MiB), and what
/// the two ends tell each other; each side in pages of 2 MiB.
constexpr std::size_t kConnection = 12 * kMiB;
/// What a group takes besides its connections.
constexpr std::size_t kGroup = 4 * kMiB;
/// NCCL's kernels, and what they keep outside of registers.
constexpr std::size_t kLibrary = 128 * kMiB;

/// Every rank sends to every other at once (sums), and around a ring (gathers). Across a network connections share their buffers.
std::size_t group(int ranks, int on_host) {
    if (ranks == 1) return 0;
    const int peers = on_host - 1 + (on_host < ranks ? 1 : 0);
    return kGroup + kConnection * kNcclChannels * static_cast<std::size_t>(peers + 1);
}

}  // namespace

std::size_t nccl_memory(const MeshIndex& sizes, int host_ranks, const GroupUse& use) {
    if (sizes.data * sizes.tensor * sizes.pipeline == 1) return 0;
    const int tensor = std::min(sizes.tensor, host_ranks);
    const int data = std::clamp(host_ranks / sizes.tensor, 1, sizes.data);
    std::size_t bytes = kLibrary + group(sizes.tensor, tensor) + group(sizes.data, data);
    bytes += kGroup + kConnection * kNcclWorldChannels;
    if (sizes.pipeline == 1) return bytes;
    // Two lanes from and to each neighbour, connected when they are made: one that receives and one that sends are a connection.
    const std::size_t lanes = sizes.pipeline == 2 ? 4 : 8;
    bytes += lanes * kGroup + lanes / 2 * kConnection * kNcclLinkChannels;
    if (use.ends) bytes += group(2, std::min(2, host_ranks));
    if (use.pipeline) bytes += group(sizes.pipeline, std::clamp(host_ranks / sizes.tensor / sizes.data, 1, sizes.pipeline));
    return bytes;
}

}  // namespace tandem
