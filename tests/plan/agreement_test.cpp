// Ranks on hosts of different memory run programs that belong together.
#include <gtest/gtest.h>

#include "src/plan/capacity.h"
#include "tests/support/ranks.h"

namespace tandem {
namespace {

RunConfig config_of(const std::string& overrides) {
    return parse_run_config("[model]\npath = " TANDEM_SOURCE_DIR "/tests/invariance/models/tied\ninit = random\n" + overrides, "test.ini",
                            {}, Purpose::Plan);
}

TEST(AgreedPlan, IsThatOfTheRankWithLeastMemory) {
    const RunConfig config = config_of("[parallel]\npipeline = 2\n[training]\nglobal_batch_size = 8\nmicro_batch_size = 2\n");
    const PlanSubject subject{config, {.pipeline = 2, .accumulation = 4}, Purpose::Train, 1};
    const std::size_t keeps = plan_memory(subject, ActivationPolicy::Keep).peak(),
                      frugal = plan_memory(subject, ActivationPolicy::Recompute).peak();
    ASSERT_LT(frugal, keeps);
    const std::size_t mine = test_world().rank() == 0 ? keeps : frugal;
    const MemoryPlan chosen = choose_plan(subject, mine);
    EXPECT_EQ(chosen.policy, test_world().rank() == 0 ? ActivationPolicy::Keep : ActivationPolicy::Recompute);
    const MemoryPlan agreed = agreed_plan(subject, chosen, test_world());
    EXPECT_EQ(agreed.policy, test_world().size() > 1 ? ActivationPolicy::Recompute : ActivationPolicy::Keep);
    EXPECT_EQ(agreed.split.hoisted_units, 0);
    EXPECT_LE(agreed.peak(), mine);
}

TEST(AgreedPlan, OverlapsAsMuchAsEveryRankCan) {
    const RunConfig config =
        config_of("[parallel]\npipeline = 2\n[training]\nglobal_batch_size = 8\nmicro_batch_size = 2\nrecompute = full\n");
    const PlanSubject subject{config, {.pipeline = 2, .accumulation = 4}, Purpose::Train, 1};
    const MemoryPlan free = choose_plan(subject, std::size_t{1} << 40U);
    ASSERT_GT(free.split.hoisted_units, 1);
    const MemoryPlan one = plan_memory(subject, ActivationPolicy::Recompute, 1);
    const MemoryPlan agreed = agreed_plan(subject, test_world().rank() == 0 ? free : one, test_world());
    EXPECT_EQ(agreed.split.hoisted_units, test_world().size() > 1 ? 1 : free.split.hoisted_units);
}

}  // namespace
}  // namespace tandem
