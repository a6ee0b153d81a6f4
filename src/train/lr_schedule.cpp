#include "src/train/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tandem {

double LearningRateSchedule::at(std::int64_t step) const {
    const auto done = static_cast<double>(step - 1);
    const auto warmup = static_cast<double>(warmup_steps);
    if (done < warmup) return peak * done / std::max(1.0, warmup);
    if (type == ScheduleType::Constant) return peak;
    const double progress = std::min(1.0, (done - warmup) / std::max(1.0, static_cast<double>(total_steps) - warmup));
    const double factor = type == ScheduleType::Cosine ? 0.5 * (1.0 + std::cos(std::numbers::pi * progress)) : 1.0 - progress;
    return peak * (factor * (1.0 - min_ratio) + min_ratio);
}

LearningRateSchedule make_schedule(const RunConfig& config, std::int64_t total_steps) {
    LearningRateSchedule s{config.schedule.type, config.optimizer.learning_rate, config.schedule.warmup_steps, total_steps,
                           config.schedule.min_lr_ratio};
    if (s.warmup_steps == 0 && config.schedule.warmup_ratio) {
        s.warmup_steps = static_cast<std::int64_t>(std::ceil(*config.schedule.warmup_ratio * static_cast<double>(total_steps)));
    }
    return s;
}

}  // namespace tandem
