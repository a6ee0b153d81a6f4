// The seconds of a step by cause, from its program.
#include "src/plan/time_model.h"

namespace tandem {

StepTime step_time(const PlanSubject& subject, const MemoryPlan& plan, const Hardware& hardware) {
    StepTime t;
    const auto programs = step_programs(plan.split, static_cast<int>(subject.layout.accumulation), plan.policy);
    for (std::size_t stage = 0; stage < programs.size(); ++stage) {
        StepTime mine;
        for (const Instruction& in : programs[stage]) {
            const auto s = instruction_seconds(subject, plan, hardware, static_cast<int>(stage), in);
            mine.communication += s.communication;
            double& cause = in.op == Op::Recompute ? mine.recompute : in.op >= Op::Clip ? mine.optimizer : mine.compute;
            cause += s.compute;
        }
        if (mine.total() > t.total()) t = mine;
    }
    return t;
}

}  // namespace tandem
