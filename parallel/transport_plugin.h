// Transports that need a library of the device's (NCCL): what the shared object that holds them shows besides its backend
// (kernels/base/plugin.h), and under the same condition: program and shared object are built together.
#pragma once

#include <memory>
#include <string>

#include "kernels/base/backend.h"
#include "parallel/communicator.h"

namespace tandem {

struct TransportPlugin {
    const char* abi;  ///< first, so that a table of any version can be refused
    /// "NCCL 2.28.9". Throws Configuration, saying what to do, where it was not built, or its library is missing or too old.
    std::string (*describe)();
    /// The ranks of `control` as a group over the memory of `backend`, which must outlive it; host values go over `control`. Collective.
    /// Throws Run for what the library reports; ranks that wait for one that failed give up after a while.
    std::unique_ptr<Communicator> (*make)(Backend& backend, std::unique_ptr<Communicator> control);
    /// What went wrong in the background of this rank's groups, in the library's words; empty where all is well. From any thread.
    std::string (*background_error)();
    /// Ends what is under way in all groups of this rank, each once; none can be used any more. From any thread.
    void (*abort_all)();
};

/// The name of the exported function, and its type.
inline constexpr const char* kTransportEntry = "tandem_transport_plugin";
using TransportEntry = const TransportPlugin* (*)();

/// The table that `entry`, found under that name, returns. Throws Configuration where there is no such function, or it was not built
/// together with this program.
[[nodiscard]] const TransportPlugin& transport_plugin(void* entry);

}  // namespace tandem
