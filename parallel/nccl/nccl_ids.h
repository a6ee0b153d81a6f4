// Names of NCCL groups, made by one rank and known to all.
#pragma once

#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/nccl/nccl_comm.h"

namespace tandem {

inline constexpr std::size_t kNcclIdBytes = NCCL_UNIQUE_ID_BYTES;

/// `count` new ids of every rank, one after the other, in rank order. Where one cannot make its own, all throw what it says. Collective.
[[nodiscard]] inline std::vector<std::string> shared_ids(const NcclLibrary& library, Communicator& control, std::size_t count) {
    std::string mine;
    try {
        for (std::size_t i = 0; i < count; ++i) mine += NcclComm::new_id(library);
    } catch (const Error& error) {
        mine = error.what();
    }
    auto all = control.gather(mine);
    for (const auto& ids : all) {
        if (ids.size() != count * kNcclIdBytes) fail(Failure::Run, "{}", ids);
    }
    return all;
}

}  // namespace tandem
