// Whether a transport carries what it is given, and how fast: found out before a model is.
#pragma once

#include <cstddef>
#include <string>

#include "kernels/base/backend.h"
#include "parallel/mesh.h"

namespace tandem {

/// Sums, gathers, and sends around the ring both ways known data, some 100 KiB of it, and compares every value. Returns what came out
/// wrong first on this rank; empty where nothing did. Throws Run where another rank does not answer, and what the group throws. The group's
/// neighbours must be connected. Collective.
[[nodiscard]] std::string verify_transport(Backend& backend, Stream& stream, Communicator& group);

/// The same for every group of the mesh as a run uses it, so that what libraries allocate for a group, at its first use, is there before
/// the rest of a GPU is given away. Throws Run naming the group. Collective over the mesh.
void prove_groups(Backend& backend, Stream& stream, Mesh& mesh, const GroupUse& use);

/// Bytes a second of all_reduce on `bytes` bytes of fp32; the same on every rank: the slowest one's. Collective.
[[nodiscard]] double all_reduce_rate(Backend& backend, Stream& stream, Communicator& group, std::size_t bytes);

}  // namespace tandem
