// What the entry of the shared object (plugin.cpp) hands on: two functions, implemented by NCCL's part or by what says that it is missing.
#pragma once

#include <memory>
#include <string>

#include "parallel/communicator.h"

namespace tandem {

class Backend;

/// As TransportPlugin::describe and TransportPlugin::make.
[[nodiscard]] std::string describe_nccl();
[[nodiscard]] std::unique_ptr<Communicator> make_nccl_communicator(Backend& backend, std::unique_ptr<Communicator> control);

}  // namespace tandem
