// Schedules of a pipeline step: pure functions that say in which order each rank computes. Only computing instructions, for whole
// chunks (units are empty); lowering.h makes them into programs that run.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "parallel/program.h"

namespace tandem {

enum class Schedule : std::uint8_t {
    GPipe,        ///< all forwards, then all backwards; activations of all micro-batches (Huang et al., arXiv 1811.06965)
    OneFOneB,     ///< one forward, one backward; activations of at most stages - rank micro-batches (Narayanan et al., arXiv 2006.09503)
    Interleaved,  ///< 1F1B over several chunks a rank: a bubble 1/chunks as long (Narayanan et al., arXiv 2104.04473)
    ZbH1,         ///< 1F1B whose weight gradients fill the bubble, no more activations than 1F1B's first rank (Qi et al., arXiv 2401.10241)
};
[[nodiscard]] std::string_view name(Schedule schedule);  ///< as `parallel.schedule` spells it: "gpipe", "1f1b", "interleaved", "zb-h1"

struct PipelineShape {
    int stages = 1;         ///< ranks of the pipeline
    int chunks = 1;         ///< parts of the model on each of them
    int micro_batches = 1;  ///< of one data rank in one step

    [[nodiscard]] int parts() const { return stages * chunks; }
    [[nodiscard]] int part(int rank, int chunk) const { return chunk * stages + rank; }
};

/// Chunks a rank may hold: chunk numbers are a part of message tags.
inline constexpr int kMaxChunks = 16;

/// Messages of one direction a rank should have room for: fewer (at least kOutboxBuffers) end as well, but with chunks, hoisted
/// recomputation and deferred weight gradients senders would wait. Found with simulate() for 2 to 16 stages.
[[nodiscard]] int outbox_buffers(const PipelineShape& shape);

/// One program a rank, of Forward and Backward (ZbH1: BackwardInput and BackwardWeight). Any number of micro-batches, also one that
/// `stages` does not divide or fewer than stages. Throws Configuration naming parallel.schedule or parallel.chunks where they do not go
/// together.
[[nodiscard]] std::vector<Program> make_schedule(Schedule schedule, const PipelineShape& shape);

/// Forward only, for evaluation: any number of chunks.
[[nodiscard]] std::vector<Program> make_forward_schedule(const PipelineShape& shape);

}  // namespace tandem
