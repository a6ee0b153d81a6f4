// Where a rank is in its work: what the watchdog times and its message names.
#pragma once

#include <cstdint>
#include <string>

#include "parallel/program.h"

namespace tandem {

enum class Phase : std::uint8_t {
    Starting,    ///< planning, opening devices, connecting ranks
    Preparing,   ///< data to token files
    Loading,     ///< a model's weights
    Resuming,    ///< a checkpoint's state
    Training,    ///< steps
    Evaluating,  ///< batches of validation data
    Saving,      ///< a checkpoint
    Exporting,   ///< the adapter or model at the end
    Generating,  ///< tokens
    Measuring,   ///< speed
    Ending,      ///< has done its work or failed, and waits for the others
};
inline constexpr int kPhases = 11;

/// In some phases the work is instructions of a program, each with a deadline of its own; in the others, and between instructions that are
/// rehearsed or measured, a deadline is for a time without any progress.
[[nodiscard]] bool has_instructions(Phase phase);
/// Is the work the same again and again, so that what it took says what it may take?
[[nodiscard]] bool repeats(Phase phase);

/// Trivially copyable: ranks send theirs to one another.
struct Position {
    Phase phase = Phase::Starting;
    bool in_instruction = false;  ///< else between two, or in a phase without them
    Op op = Op::Forward;
    std::int32_t chunk = 0, micro_batch = 0, bucket = -1;
    std::int32_t step = 0;                    ///< of the training, counted from 1; 0 before
    std::int32_t instruction = 0, count = 0;  ///< how many of the program's `count` instructions lie behind
};

/// "backward of micro-batch 5 of step 7", "step 7, between instructions", "loading the model". Numbers of micro-batches and buckets are the
/// program's, from 0.
[[nodiscard]] std::string to_text(const Position& position);

}  // namespace tandem
