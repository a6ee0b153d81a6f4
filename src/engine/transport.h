// The ranks as a group over the memory of their devices.
#pragma once

#include "parallel/transport.h"
#include "src/engine/device.h"

namespace tandem {

/// How the ranks of `world` exchange tensors of their devices, as parallel.transport asks. Its group is null where they need nothing
/// besides `world` (host memory, or one rank). `device` must outlive the group; `host` names this rank's machine. Throws as
/// make_device_communicator does. Collective.
[[nodiscard]] DeviceTransport make_transport(const RunConfig& config, Device& device, const DevicePlace& place, Communicator& world,
                                             const std::string& host);

}  // namespace tandem
