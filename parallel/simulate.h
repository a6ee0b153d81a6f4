// How long programs take, instruction by instruction: for plans, for drawings, and as the test of a schedule's promised bubble.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "parallel/program.h"

namespace tandem {

/// What a step's parts cost. Both must be set; seconds >= 0.
struct Costs {
    /// What the rank itself is busy with; of a send or receive the copy, of Reduce and Gather what is not hidden behind computing.
    std::function<double(int rank, const Instruction&)> seconds;
    /// From the end of this send to when the peer can receive it. A rank's messages of one direction go one after another.
    std::function<double(int rank, const Instruction&)> message_seconds;
    int outbox = kOutboxBuffers;  ///< messages of one direction under way until a send waits for the peer's receive
};

/// Costs of each unit alike, whatever its rank, and of messages; the end of the step takes no time.
struct UnitSeconds {
    double forward = 0, recompute = 0, input = 0, weight = 0, message = 0;
};
[[nodiscard]] Costs uniform_costs(const UnitSeconds& unit);

struct TimeSpan {
    double start = 0, end = 0;  ///< busy, seconds from the step's start; waiting lies before
};

struct Timeline {
    std::vector<std::vector<TimeSpan>> spans;    ///< of each rank, one an instruction
    std::vector<std::array<double, kOps>> busy;  ///< of each rank, seconds by Op
    double seconds = 0;                          ///< when the last rank ends

    [[nodiscard]] double busy_seconds(int rank) const;
    [[nodiscard]] double idle_seconds(int rank) const { return seconds - busy_seconds(rank); }
    /// Idle time of all ranks by their time of forward, recomputation and backward: 0.375 is "37.5 %".
    [[nodiscard]] double bubble() const;
};

/// Ranks run their instructions one after another; a receive waits for its message, Clip for all ranks. Throws Run where the programs
/// do not end.
[[nodiscard]] Timeline simulate(const std::vector<Program>& programs, const Costs& costs);

}  // namespace tandem
