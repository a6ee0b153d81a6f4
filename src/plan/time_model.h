// How long a step takes: every op of the dry run at the slower of its arithmetic and its memory traffic, plus communication.
#pragma once

#include "src/plan/hardware.h"
#include "src/plan/memory_plan.h"

namespace tandem {

/// Seconds of one optimizer step; the causes sum to it.
struct StepTime {
    double compute = 0, recompute = 0, communication = 0, bubble = 0, optimizer = 0, offload = 0, host = 0;
    [[nodiscard]] double total() const { return compute + recompute + communication + bubble + optimizer + offload + host; }
};

/// Seconds that `counts` take on one card.
[[nodiscard]] double seconds_of(const OpCounts& counts, const Gpu& gpu, DType dtype);

/// What one instruction takes on the slowest card of its stage.
struct InstructionSeconds {
    double compute = 0, communication = 0;
    double offload = 0;  ///< of pages of optimizer states that come and go, what is not hidden behind their use
    [[nodiscard]] double total() const { return compute + communication + offload; }
};
[[nodiscard]] InstructionSeconds instruction_seconds(const PlanSubject& subject, const MemoryPlan& plan, const Hardware& hardware,
                                                     int stage, const Instruction& instruction);
/// A message of this stage to the next one.
[[nodiscard]] double message_seconds(const MemoryPlan& plan, const Hardware& hardware, int stage);

/// The program of a step, simulated with these (src/plan/step_simulation.cpp); mean over ranks.
[[nodiscard]] StepTime step_time(const PlanSubject& subject, const MemoryPlan& plan, const Hardware& hardware);

/// What the model is worth a trained token: 6 flops a trained weight in a matrix product, 4 a frozen one, and causal attention;
/// recomputation does not count.
[[nodiscard]] double useful_flops_per_token(const RunConfig& config, const MemoryPlan& plan, const ModelConfig& model);

/// The sentences that say what the figures rest on.
[[nodiscard]] std::vector<std::string> assumptions();

}  // namespace tandem
