// All communicators of NCCL's that this process has: what a watchdog asks for errors, and aborts when the job ends.
#pragma once

#include <string>

namespace tandem {

class NcclComm;

/// From the moment that NCCL has one until it is given back.
void register_nccl(NcclComm& comm);
/// Waits where the communicator is being asked or aborted right now.
void unregister_nccl(NcclComm& comm);

}  // namespace tandem
