// The seconds of a step by cause, from its simulated program.
#include "src/plan/step_simulation.h"

#include <algorithm>

namespace tandem {

StepSimulation simulate_step(const PlanSubject& subject, const MemoryPlan& plan, const Hardware& hardware) {
    StepSimulation s;
    s.programs = step_programs(plan.split, static_cast<int>(subject.layout.accumulation), plan.policy);
    Costs costs;
    costs.seconds = [&](int stage, const Instruction& in) { return instruction_seconds(subject, plan, hardware, stage, in).total(); };
    costs.message_seconds = [&](int stage, const Instruction&) { return message_seconds(plan, hardware, stage); };
    costs.outbox = outbox_buffers({.stages = plan.split.sizes.pipeline, .chunks = plan.split.chunks});
    s.timeline = simulate(s.programs, costs);
    return s;
}

StepTime step_time(const PlanSubject& subject, const MemoryPlan& plan, const Hardware& hardware) {
    const StepSimulation s = simulate_step(subject, plan, hardware);
    StepTime t;
    for (std::size_t stage = 0; stage < s.programs.size(); ++stage) {
        for (const Instruction& in : s.programs[stage]) {
            const auto seconds = instruction_seconds(subject, plan, hardware, static_cast<int>(stage), in);
            t.communication += seconds.communication;
            t.offload += seconds.offload;
            (in.op == Op::Recompute ? t.recompute : in.op >= Op::Clip ? t.optimizer : t.compute) += seconds.compute;
        }
        t.bubble += std::max(0.0, s.timeline.idle_seconds(static_cast<int>(stage)));
    }
    const auto stages = static_cast<double>(s.programs.size());
    for (double* cause : {&t.compute, &t.recompute, &t.communication, &t.optimizer, &t.offload, &t.bubble}) *cause /= stages;
    return t;
}

}  // namespace tandem
