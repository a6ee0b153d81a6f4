// Schedules against values of transformers 5.23 (get_cosine_schedule_with_warmup and its siblings), peak 1, 10 steps, warm-up 3.
#include "src/train/lr_schedule.h"

#include <gtest/gtest.h>

namespace tandem::test {
namespace {

void expect_rates(const LearningRateSchedule& s, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR(s.at(static_cast<std::int64_t>(i) + 1), expected[i], 1e-9) << "step " << i + 1;
}

TEST(Schedule, Cosine) {
    expect_rates({ScheduleType::Cosine, 1.0, 3, 10, 0},
                 {0, 0.3333333333, 0.6666666667, 1, 0.950484434, 0.8117449009, 0.611260467, 0.388739533, 0.1882550991, 0.04951556605});
}

TEST(Schedule, Linear) {
    expect_rates({ScheduleType::Linear, 1.0, 3, 10, 0},
                 {0, 0.3333333333, 0.6666666667, 1, 0.8571428571, 0.7142857143, 0.5714285714, 0.4285714286, 0.2857142857, 0.1428571429});
}

TEST(Schedule, Constant) { expect_rates({ScheduleType::Constant, 1.0, 3, 10, 0}, {0, 0.3333333333, 0.6666666667, 1, 1, 1, 1, 1, 1, 1}); }

TEST(Schedule, CosineToAFloor) {
    expect_rates({ScheduleType::Cosine, 1.0, 3, 10, 0.1},
                 {0, 0.3333333333, 0.6666666667, 1, 0.9554359906, 0.8305704108, 0.6501344203, 0.4498655797, 0.2694295892, 0.1445640094});
}

TEST(Schedule, WarmupRatioIsRoundedUpAndStepsWin) {
    RunConfig config;
    config.schedule.warmup_ratio = 0.25;
    EXPECT_EQ(make_schedule(config, 10).warmup_steps, 3);
    config.schedule.warmup_steps = 5;
    EXPECT_EQ(make_schedule(config, 10).warmup_steps, 5);
}

}  // namespace
}  // namespace tandem::test
