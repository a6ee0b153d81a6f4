// What a watchdog asks of a transport that has errors and groups of its own (NCCL), whoever made them.
#pragma once

#include <string>

#include "parallel/transport_plugin.h"

namespace tandem {

/// From now on groups of this transport may exist. Null: none do.
void set_live_transport(const TransportPlugin* plugin);

/// What went wrong between this rank's device and others, in the library's words; empty where all is well. From any thread.
[[nodiscard]] std::string live_transport_error();
/// Ends what is under way in all groups of this rank, which cannot be used any more. From any thread.
void abort_live_transport();

}  // namespace tandem
