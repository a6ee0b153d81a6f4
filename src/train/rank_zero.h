// Work that one rank does for all: what it throws, every rank throws, so that the job has one message and nobody waits.
#pragma once

#include <functional>
#include <string>

#include "parallel/communicator.h"

namespace tandem {

/// Runs `work` on rank 0 and gives its text to every rank. Collective. An Error of rank 0 is thrown on all ranks.
std::string on_rank_zero(Communicator& world, const std::function<std::string()>& work);
void on_rank_zero(Communicator& world, const std::function<void()>& work);

}  // namespace tandem
