// Proofs about programs before they run: that they end, and that they say what a step must do. Both throw Error{Run} naming rank and
// instruction; a fault is an error of this program, whatever the configuration.
#pragma once

#include <vector>

#include "parallel/lowering.h"
#include "parallel/program.h"
#include "parallel/schedules.h"

namespace tandem {

/// Runs the programs with messages that are under way until the peer reaches its receive (a rendezvous, the hardest case) and at most
/// `outbox` >= 1 of each direction a rank. Throws if the ranks wait for each other, naming the instruction each one is stuck at; if a
/// message meets a receive of another micro-batch or chunk; or if one is never received.
void check_progress(const std::vector<Program>& programs, int outbox);

/// Each micro-batch once through every unit, forward before backward; weights' gradients after inputs', recomputation where and as
/// often as asked; receives before use and sends after; slots not shared by micro-batches in flight; every trained bucket reduced when
/// complete, then clipped, updated and gathered.
void check_rules(const std::vector<Program>& programs, const PipelineShape& shape, const Lowering& lowering);

}  // namespace tandem
