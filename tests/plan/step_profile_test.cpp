// What `tandem bench` measures belongs together.
#include "src/plan/step_profile.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "src/plan/memory_plan.h"

namespace tandem {
namespace {

RunConfig config_of(const std::string& overrides) {
    return parse_run_config("[model]\npath = " TANDEM_SOURCE_DIR
                            "/tests/golden/models/llama_gqa\n[data]\nmax_seq_length = 64\n[training]\nglobal_batch_size = 4\n" +
                                overrides,
                            "test.ini", {}, Purpose::Plan);
}

double flops(const OpCounts& ops) {
    double sum = 0;
    for (const auto& [call, record] : ops.calls()) sum += static_cast<double>(call.flops * record.calls);
    return sum;
}

TEST(StepProfile, CountsWhatTheDryRunCounts) {
    const RunConfig config = config_of("micro_batch_size = 2\n");
    const StepProfile profile = profile_step(config, 1, 2);
    EXPECT_EQ(profile.tokens, 256);
    EXPECT_EQ(profile.seconds.size(), 2U);
    EXPECT_GT(profile.op_seconds, 0);
    EXPECT_GT(profile.matmul_bound_seconds, 0);
    // The dry run trains every position, the profile all but the last of a row: the head's share differs by a 64th.
    const MemoryPlan plan = plan_memory({config, {}, Purpose::Train, 1}, ActivationPolicy::Keep);
    double planned = 0;
    const auto programs = step_programs(plan.split, 2, plan.policy);
    for (const Instruction& in : programs.front()) planned += flops(plan.stages.front().cost(in).ops);
    EXPECT_NEAR(flops(profile.ops) / planned, 1, 0.02);
    EXPECT_LE(profile.memory_peak_bytes, plan.peak());
}

TEST(StepProfile, DoesNotStartWhatDoesNotFit) {
    EXPECT_THROW((void)profile_step(config_of("[device]\nmemory_limit = 100kB\n"), 1, 1), Error);
}

TEST(StepProfile, SaysWhatItMeasured) {
    const StepProfile profile = profile_step(config_of("[method]\ntype = full\n"), 1, 1);
    const auto json = to_json(profile);
    EXPECT_DOUBLE_EQ(json["tokens_per_second"].get<double>() * json["step_seconds"].get<double>(), 256);
    double seconds = 0;
    for (const auto& op : json["ops"]) seconds += op["seconds"].get<double>();
    EXPECT_NEAR(seconds, profile.op_seconds, 1e-9);
    EXPECT_NE(to_text(profile).find("attention_backward"), std::string::npos);
}

}  // namespace
}  // namespace tandem
