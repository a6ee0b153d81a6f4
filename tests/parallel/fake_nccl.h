// NCCL's functions as far as tandem uses them, between processes of one host, on the emulated device. Messages are files in a directory.
// Calls on streams are enqueued and run as late as the emulator's other work; calls that may return before they are complete do, and those
// that connect ranks are complete when the other ranks have made theirs.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "parallel/nccl/nccl_library.h"

namespace tandem::test {

/// `directory`: the same for all ranks, and empty.
NcclLibrary fake_nccl(const std::string& directory);

/// What a group has been used for: NCCL holds buffers for each of these, in every channel.
struct NcclUse {
    int ranks, channels;
    std::set<int> sent_to, received_from;
    bool ring = false;  ///< gathers and broadcasts
};
/// The groups of this rank that there are now.
std::vector<NcclUse> fake_nccl_groups();

}  // namespace tandem::test
