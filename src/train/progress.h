// What a person sees while a run goes on: one line a step with loss, speed and the time left.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "src/train/run_log.h"

namespace tandem {

class Progress {
public:
    /// Lines every `every` steps and for the first and last one; nothing where `out` is null (ranks above 0).
    Progress(std::FILE* out, std::int64_t first_step, std::int64_t total_steps, std::int64_t every);
    void step(const StepRecord& record, double epoch);

private:
    std::FILE* out_;
    std::int64_t first_, total_, every_;
    double recent_seconds_ = 0;  ///< of a step, smoothed: the basis of the time left
};

}  // namespace tandem
