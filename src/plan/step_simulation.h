// A step's program with the planned cost of every instruction: what `tandem plan` times and draws.
#pragma once

#include "parallel/simulate.h"
#include "src/plan/time_model.h"

namespace tandem {

struct StepSimulation {
    std::vector<Program> programs;  ///< of each pipeline stage
    Timeline timeline;
};
[[nodiscard]] StepSimulation simulate_step(const PlanSubject& subject, const MemoryPlan& plan, const Hardware& hardware);

}  // namespace tandem
