// Learning rate of a step: the schedules of transformers, as functions of the step alone.
#pragma once

#include <cstdint>

#include "src/config/run_config.h"

namespace tandem {

struct LearningRateSchedule {
    ScheduleType type = ScheduleType::Cosine;
    double peak = 2e-4;
    std::int64_t warmup_steps = 0;
    std::int64_t total_steps = 1;
    double min_ratio = 0;

    /// Rate used by step `step` (from 1): linear warm-up from 0, then down to min_ratio * peak along a half cosine or a line,
    /// or constant.
    [[nodiscard]] double at(std::int64_t step) const;
};

/// warmup_steps where it is given, else warmup_ratio of all steps, rounded up, as transformers.TrainingArguments does.
LearningRateSchedule make_schedule(const RunConfig& config, std::int64_t total_steps);

}  // namespace tandem
