// NCCL's functions as far as tandem uses them, between processes of one host, on the emulated device. Messages are files in a directory.
// Calls on streams are enqueued and run as late as the emulator's other work; calls that may return before they are complete do.
#pragma once

#include <string>

#include "parallel/nccl/nccl_library.h"

namespace tandem::test {

/// `directory`: the same for all ranks, and empty.
NcclLibrary fake_nccl(const std::string& directory);

}  // namespace tandem::test
