#include "parallel/position.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tandem {
namespace {

constexpr std::array<std::string_view, kPhases> kWords = {
    "the start of the run", "preparing the data",  "loading the model",  "reading the checkpoint", "training",
    "the evaluation",       "saving a checkpoint", "writing the result", "generating text",        "measuring",
    "the end of the run"};

std::string_view words(Phase phase) { return kWords.at(static_cast<std::size_t>(phase)); }

/// "receive_forward" as people say it.
std::string spoken(Op op) {
    std::string text(name(op));
    std::ranges::replace(text, '_', ' ');
    return text;
}

std::string instruction_text(const Position& p) {
    if (has_slot(p.op))
        return fmt::format("{} of micro-batch {}{}", spoken(p.op), p.micro_batch, p.chunk > 0 ? fmt::format(" in chunk {}", p.chunk) : "");
    return p.bucket >= 0 ? fmt::format("{} of bucket {}", spoken(p.op), p.bucket) : spoken(p.op);
}

}  // namespace

bool has_instructions(Phase phase) { return phase == Phase::Training || phase == Phase::Evaluating || phase == Phase::Measuring; }

bool repeats(Phase phase) { return phase == Phase::Training || phase == Phase::Evaluating || phase == Phase::Generating; }

std::string to_text(const Position& p) {
    if (p.phase == Phase::Training && p.step > 0) {
        return p.in_instruction ? fmt::format("{} of step {}", instruction_text(p), p.step)
                                : fmt::format("step {}, between instructions", p.step);
    }
    if (p.in_instruction) return fmt::format("{} of {}", instruction_text(p), words(p.phase));
    return std::string(words(p.phase));
}

}  // namespace tandem
