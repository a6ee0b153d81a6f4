// What the planner says of models whose bytes can be counted by hand.
#include "src/plan/memory_plan.h"

#include <gtest/gtest.h>

#include "src/plan/capacity.h"

namespace tandem {
namespace {

RunConfig config_of(const std::string& overrides) {
    return parse_run_config("[model]\npath = " TANDEM_SOURCE_DIR "/tests/golden/models/llama_gqa\n" + overrides, "test.ini", {},
                            Purpose::Plan);
}

MemoryPlan plan_of(const RunConfig& config, std::int64_t data = 1, ActivationPolicy policy = ActivationPolicy::Keep) {
    return plan_memory({config, {.data = data, .accumulation = 1}, Purpose::Train, 2}, policy);
}

std::size_t bytes(const MemoryPlan& plan, MemoryKind kind) { return plan.bytes()[static_cast<std::size_t>(kind)]; }

TEST(MemoryPlan, StateOfFullFineTuningIsFourTimesTheWeights) {
    const RunConfig config = config_of("dtype = fp32\n[method]\ntype = full\n");
    const MemoryPlan plan = plan_of(config);
    EXPECT_EQ(plan.trainable, plan.parameters);
    const auto weights = static_cast<std::size_t>(plan.parameters) * 4;
    // Buckets pad each parameter to 256 elements.
    const std::size_t padding = 64 * 256 * 4;
    for (const auto kind : {MemoryKind::Gradients, MemoryKind::Master}) {
        EXPECT_GE(bytes(plan, kind), weights);
        EXPECT_LE(bytes(plan, kind), weights + padding);
    }
    EXPECT_GE(bytes(plan, MemoryKind::Optimizer), 2 * bytes(plan, MemoryKind::Master));
    EXPECT_LE(bytes(plan, MemoryKind::Optimizer), 2 * bytes(plan, MemoryKind::Master) + 4096);
    EXPECT_EQ(bytes(plan, MemoryKind::Communication), 0U);
    EXPECT_GT(bytes(plan_of(config, 2), MemoryKind::Communication), 0U);
}

TEST(MemoryPlan, RecomputationAndSmallerMicroBatchesSaveActivations) {
    const RunConfig big = config_of("[training]\nmicro_batch_size = 4\n[data]\nmax_seq_length = 256\n");
    const RunConfig small = config_of("[training]\nmicro_batch_size = 1\n[data]\nmax_seq_length = 256\n");
    EXPECT_LT(bytes(plan_of(big, 1, ActivationPolicy::Recompute), MemoryKind::Activations), bytes(plan_of(big), MemoryKind::Activations));
    EXPECT_LT(4 * bytes(plan_of(small), MemoryKind::Activations), bytes(plan_of(big), MemoryKind::Activations) + 65536);
    EXPECT_EQ(bytes(plan_of(small), MemoryKind::Weights), bytes(plan_of(big), MemoryKind::Weights));
}

TEST(MemoryPlan, SgdHasNoMoments) {
    const MemoryPlan plan = plan_of(config_of("[optimizer]\nname = sgd\n"));
    EXPECT_LT(bytes(plan, MemoryKind::Optimizer), 4096U);
}

TEST(MemoryPlan, ASplitThatCutsBlocksOfEightBitStatesIsRefused) {
    // Half of a vocabulary of 150 rows of 32.
    const auto config = [](const std::string& optimizer) {
        return parse_run_config("[model]\npath = " TANDEM_SOURCE_DIR
                                "/tests/golden/models/qwen2_bias\n[method]\ntype = full\n[optimizer]\nname = " +
                                    optimizer + "\n",
                                "test.ini", {}, Purpose::Plan);
    };
    const auto plan = [&](const std::string& optimizer, std::int64_t tensor, Purpose purpose) {
        const RunConfig c = config(optimizer);
        (void)plan_memory({c, {.tensor = tensor, .accumulation = 1}, purpose, 1}, ActivationPolicy::Keep);
    };
    EXPECT_NO_THROW(plan("adamw", 2, Purpose::Train));
    EXPECT_NO_THROW(plan("adamw_8bit", 1, Purpose::Train));
    EXPECT_NO_THROW(plan("adamw_8bit", 2, Purpose::Eval)) << "nothing is trained";
    try {
        plan("adamw_8bit", 2, Purpose::Train);
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Configuration);
        EXPECT_NE(std::string(error.what()).find("test.ini:6: optimizer.name = adamw_8bit"), std::string::npos) << error.what();
    }
}

TEST(MemoryPlan, EvaluationHasNoState) {
    const RunConfig config = config_of("");
    const MemoryPlan plan = plan_memory({config, {}, Purpose::Eval, 1}, ActivationPolicy::Keep);
    EXPECT_EQ(plan.trainable, 0);
    EXPECT_EQ(bytes(plan, MemoryKind::Gradients) + bytes(plan, MemoryKind::Optimizer), 0U);
    EXPECT_GT(bytes(plan, MemoryKind::Activations), 0U);
}

TEST(MemoryPlan, RecomputesWhereThatIsWhatFits) {
    const RunConfig config = config_of("[training]\nmicro_batch_size = 8\n");
    const PlanSubject subject{config, {}, Purpose::Train, 1};
    const std::size_t kept = plan_memory(subject, ActivationPolicy::Keep).peak();
    EXPECT_EQ(choose_plan(subject, kept).policy, ActivationPolicy::Keep);
    EXPECT_EQ(choose_plan(subject, kept - 1).policy, ActivationPolicy::Recompute);
    EXPECT_EQ(choose_plan(subject, 1).policy, ActivationPolicy::Recompute) << "does not fit, but is the nearest";
}

TEST(Capacity, ARunThatDoesNotFitIsRefusedWithWhatWould) {
    const RunConfig config = config_of("[training]\nmicro_batch_size = 8\n");
    const PlanSubject subject{config, {}, Purpose::Train, 1};
    const std::size_t least = plan_memory(subject, ActivationPolicy::Recompute).peak();
    EXPECT_EQ(plan_that_fits(subject, {least, "device.memory_limit"}).peak(), least);
    try {
        (void)plan_that_fits(subject, {least - 1, "device.memory_limit"});
        FAIL() << "accepted";
    } catch (const Error& error) {
        const std::string message = error.what();
        EXPECT_EQ(error.failure(), Failure::OutOfMemory);
        for (const std::string& word : {std::to_string(least), std::to_string(least - 1), std::string("device.memory_limit"),
                                        std::string("activations"), std::string("training.micro_batch_size = 4")})
            EXPECT_NE(message.find(word), std::string::npos) << word << " in: " << message;
    }
}

TEST(Capacity, WhatOtherProgramsUseIsNotThere) {
    const auto self = make_self_communicator();
    MemoryPlan plan;
    plan.stages.emplace_back();
    plan.stages[0].bytes[0] = std::size_t{1} << 20U;
    EXPECT_NO_THROW(require_available(plan, *self, 2, DeviceBackend::Cpu));
    plan.stages[0].bytes[0] = std::size_t{1} << 50U;
    try {
        require_available(plan, *self, 2, DeviceBackend::Cpu);
        FAIL() << "a pebibyte is available";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::OutOfMemory);
        EXPECT_NE(std::string(error.what()).find(std::to_string(std::size_t{1} << 50U)), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace tandem
