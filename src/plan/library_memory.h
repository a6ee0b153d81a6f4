// What a rank takes of a GPU besides its arenas: counted before a run, and held against the card when one starts.
#pragma once

#include <string>

#include "src/engine/device.h"
#include "src/plan/memory_plan.h"

namespace tandem {

/// The ranks on a host, as far as that decides how they exchange data.
struct HostRanks {
    int ranks = 1;
    bool share_cards = false;
};

/// Bytes of a rank: the driver's context with the kernels and handles of CUDA's libraries, what the driver keeps of graphs
/// (device.graphs), cuDNN's where attention may be (on_device()), and NCCL's buffers (parallel/nccl_memory.h) where the ranks may exchange
/// data through it.
[[nodiscard]] std::size_t library_memory(const PlanSubject& subject, const HostRanks& host);

/// The groups that carry tensors in a run of `purpose`.
[[nodiscard]] GroupUse group_use(const RunConfig& config, Purpose purpose);

/// Holds what the ranks of each card are about to reserve (`need` bytes, this rank) against what is free of it (Backend::free_memory()) now
/// that driver, libraries and groups have theirs (prove_groups()), and says in a line how much that is. Throws OutOfMemory where it is too
/// little, naming card, need and what is taken. Empty on CPUs. `host` names this rank's machine. Collective.
[[nodiscard]] std::string require_card(const PlanSubject& subject, std::size_t need, std::size_t free, const DevicePlace& place,
                                       Communicator& world, int local_ranks, const std::string& host);

}  // namespace tandem
