// What the entry of the shared object (plugin.cpp) hands on: two functions, implemented by NCCL's part or by what says that it is missing.
#pragma once

#include <memory>
#include <string>

#include "parallel/communicator.h"

namespace tandem {

class Backend;

/// As the functions of TransportPlugin.
[[nodiscard]] std::string describe_nccl();
[[nodiscard]] std::unique_ptr<Communicator> make_nccl_communicator(Backend& backend, std::unique_ptr<Communicator> control);
[[nodiscard]] std::string nccl_background_error();
void abort_nccl();

}  // namespace tandem
