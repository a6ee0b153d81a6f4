// What NCCL takes of a GPU's memory for a mesh of ranks. It has no limit of its own: two ranks of a group hold buffers for each other in
// every channel between them, and by itself NCCL opens up to 32. So every group asks for as many as its traffic needs, and that times a
// connection's size (as in NCCL's src/transport/p2p.cc and src/init.cc, 2.19 to 2.30) is what `plan` and `train` count.
#pragma once

#include <cstddef>

#include "parallel/mesh.h"

namespace tandem {

/// The most channels (NCCL's maxCTAs) of a data-parallel or tensor-parallel group, whose tensors are large;
inline constexpr int kNcclChannels = 8;
/// of one lane from one pipeline stage to the next (parallel/nccl/nccl_links.h);
inline constexpr int kNcclLinkChannels = 2;
/// and of the group of all ranks, which adds up single numbers.
inline constexpr int kNcclWorldChannels = 1;

/// Bytes of a rank's GPU, at most: of its groups' buffers and NCCL's kernels. `host_ranks`: ranks of the job on a host, whose neighbours in
/// the mesh it has most connections to.
[[nodiscard]] std::size_t nccl_memory(const MeshIndex& sizes, int host_ranks, const GroupUse& use);

}  // namespace tandem
