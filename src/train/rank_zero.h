// Work that one rank does for all, or every rank for itself: what one throws, every rank throws, so that the job has one message and
// nobody waits.
#pragma once

#include <functional>
#include <string>

#include "parallel/communicator.h"

namespace tandem {

/// Runs `work` on rank 0 and gives its text to every rank. Collective. An Error of rank 0 is thrown on all ranks.
std::string on_rank_zero(Communicator& world, const std::function<std::string()>& work);
void on_rank_zero(Communicator& world, const std::function<void()>& work);

/// Runs `work`, which must not communicate, on every rank. Collective. The Error of the lowest rank that failed is thrown on all ranks,
/// with the rank's number unless it is 0.
void on_every_rank(Communicator& world, const std::function<void()>& work);

}  // namespace tandem
