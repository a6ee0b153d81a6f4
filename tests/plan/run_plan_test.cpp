// The answer of `tandem plan`: its fields, and that its figures belong together.
#include "src/plan/run_plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace tandem {
namespace {

constexpr const char* kCard = "[gpu]\nname = card\nbackend = cpu\nbf16_tflops = 1\nmemory_bandwidth = 100\n[node]\nlink_bandwidth = 10\n";

Hardware cards(int count, const std::string& memory) {
    return parse_hardware(std::string(kCard) + "gpus = " + std::to_string(count) + "\n[gpu]\nmemory = " + memory + "\n", "card.ini");
}

RunConfig config_of(const std::string& overrides) {
    return parse_run_config("[model]\npath = " TANDEM_SOURCE_DIR "/tests/golden/models/llama_gqa\n" + overrides, "test.ini", {},
                            Purpose::Plan);
}

double sum(const nlohmann::ordered_json& object) {
    double total = 0;
    for (const auto& value : object) total += value.get<double>();
    return total;
}

TEST(RunPlan, FiguresBelongTogether) {
    const RunConfig config = config_of("");
    const auto json = to_json(plan_run(config, cards(4, "1GiB"), 4, 1), config);
    EXPECT_EQ(json["schema"], 1);
    EXPECT_TRUE(json["fits"].get<bool>());
    EXPECT_DOUBLE_EQ(sum(json["by_cause"]), json["step_seconds"].get<double>());
    EXPECT_EQ(json["tokens_per_step"], 16 * 1024);
    EXPECT_DOUBLE_EQ(json["tokens_per_second"].get<double>(), 16 * 1024 / json["step_seconds"].get<double>());
    std::int64_t ranks = 0;
    for (const auto& rank : json["ranks"]) {
        ranks += rank["count"].get<std::int64_t>();
        EXPECT_EQ(sum(rank["bytes"]), rank["peak_bytes"].get<double>());
        EXPECT_EQ(rank["capacity_bytes"], std::size_t{1} << 30U);
    }
    EXPECT_EQ(ranks, 4);
    EXPECT_EQ(json["layout"]["data"], 4);
    EXPECT_EQ(json["layout"]["micro_batches"], 4);
    EXPECT_GT(json["mfu"].get<double>(), 0);
    EXPECT_LT(json["mfu"].get<double>(), 0.85);
    EXPECT_GT(json["by_cause"]["communication"].get<double>(), 0);
    EXPECT_FALSE(json["assumptions"].empty());
}

/// Pages pass over the cards' way to the host, a megabyte a second here: their bytes, there and back, are the step.
TEST(RunPlan, PagedStatesTakeHostMemoryAndTheWayToIt) {
    Hardware slow = cards(1, "1GiB");
    slow.host_bandwidth = 1e-3;
    const std::string full = "[method]\ntype = full\n[optimizer]\nname = ";
    const RunConfig resident = config_of(full + "adamw_8bit\n"), paged = config_of(full + "paged_adamw_8bit\n");
    const auto here = to_json(plan_run(resident, slow, 1, 1), resident), there = to_json(plan_run(paged, slow, 1, 1), paged);
    EXPECT_EQ(here["host_bytes"], 0);
    EXPECT_EQ(here["by_cause"]["offload"], 0.0);
    // llama_gqa: embedding and head, 160 x 32 each; codes of both moments, and both scales of each 256 elements.
    const std::size_t bytes = 2 * 160 * 32 * 2 + 2 * 20 * 2 * sizeof(float);
    EXPECT_EQ(there["host_bytes"], bytes);
    EXPECT_EQ(there["ranks"][0]["host_bytes"], bytes);
    EXPECT_NEAR(there["by_cause"]["offload"].get<double>(), 2 * static_cast<double>(bytes) / 1e6, 1e-4);
    EXPECT_DOUBLE_EQ(sum(there["by_cause"]), there["step_seconds"].get<double>());
    const auto optimizer = [](const auto& plan) { return plan["ranks"][0]["bytes"]["optimizer"].template get<std::size_t>(); };
    EXPECT_EQ(optimizer(there), optimizer(here)) << "two pages of a tensor each, of two tensors";
    EXPECT_NE(to_text(plan_run(paged, slow, 1, 1), paged, slow).find("host memory"), std::string::npos);
}

TEST(RunPlan, WhatDoesNotFitIsStillAnsweredAndHelped) {
    const RunConfig config = config_of("[training]\nmicro_batch_size = 8\n[device]\nmemory_limit = 5MiB\n");
    const RunPlan plan = plan_run(config, cards(1, "1GiB"), 1, 1);
    EXPECT_FALSE(plan.fits);
    EXPECT_GT(plan.time.total(), 0);
    ASSERT_FALSE(plan.suggestions.empty());
    EXPECT_TRUE(plan.suggestions.front().suggestion.fits) << "best first";
    const auto json = to_json(plan, config);
    EXPECT_EQ(json["ranks"][0]["capacity_bytes"], 5 << 20);
    EXPECT_GT(json["suggestions"][0]["saves_bytes"].get<std::size_t>(), 0U);
}

/// Llama-2-7B's adapters over 16 bits do not fit a card of 12 GiB; over four bits they do.
TEST(RunPlan, FourBitsAreSuggestedWhereSixteenDoNotFit) {
    const RunConfig config =
        parse_run_config("[model]\npath = " TANDEM_SOURCE_DIR "/configs/models/llama-2-7b\ninit = random\n", "test.ini", {}, Purpose::Plan);
    const RunPlan plan = plan_run(config, cards(1, "12GiB"), 1, 1);
    EXPECT_FALSE(plan.fits);
    ASSERT_FALSE(plan.suggestions.empty());
    EXPECT_NE(plan.suggestions.front().suggestion.change.find("method.type = qlora"), std::string::npos);
    EXPECT_TRUE(plan.suggestions.front().suggestion.fits);
}

TEST(RunPlan, RecomputationCostsTime) {
    const Hardware card = cards(1, "1GiB");
    const RunConfig none = config_of("[training]\nrecompute = none\n"), full = config_of("[training]\nrecompute = full\n");
    const RunPlan kept = plan_run(none, card, 1, 1), again = plan_run(full, card, 1, 1);
    EXPECT_EQ(kept.time.recompute, 0);
    EXPECT_GT(again.time.recompute, 0);
    EXPECT_DOUBLE_EQ(kept.time.compute, again.time.compute);
    EXPECT_LT(again.memory.peak(), kept.memory.peak());
}

/// `kind` of the first stage's ranks, with so many data-parallel ones.
double planned(const std::string& kind, int zero, int data, int pipeline) {
    const RunConfig config =
        config_of("init = random\n[data]\nmax_seq_length = 64\n[method]\ntype = full\n[parallel]\nzero = " + std::to_string(zero) +
                  "\npipeline = " + std::to_string(pipeline) + "\n");
    const auto json = to_json(plan_run(config, cards(data * pipeline, "1GiB"), data * pipeline, 1), config);
    return json["ranks"][0]["bytes"][kind].get<double>();
}

TEST(RunPlan, ZeroDividesStateByTheDataParallelRanks) {
    constexpr double kPadding = 0.05;  // of small buckets, to whole blocks
    for (const int pipeline : {1, 2}) {
        for (const int data : {2, 4}) {
            const auto share = [&](const std::string& kind, int zero) {
                return planned(kind, zero, data, pipeline) / planned(kind, zero, 1, pipeline);
            };
            for (const auto* kind : {"gradients", "master", "optimizer"}) {
                SCOPED_TRACE(testing::Message() << kind << ", data " << data << ", pipeline " << pipeline);
                const bool gradients = std::string(kind) == "gradients";
                EXPECT_NEAR(share(kind, 2), 1.0 / data, kPadding);
                EXPECT_NEAR(share(kind, 1), gradients ? 1.0 : 1.0 / data, kPadding);
                EXPECT_NEAR(share(kind, 0), 1.0, kPadding);
            }
        }
    }
}

TEST(RunPlan, ASmallCardMayHaveASmallStage) {
    const RunConfig config = config_of("[parallel]\npipeline = 2\n[training]\nrecompute = none\n");
    Hardware mixed = cards(2, "1GiB");
    const MemoryPlan memory = plan_run(config, mixed, 2, 1).memory;
    const std::size_t small = memory.stages[0].peak() < memory.stages[1].peak() ? 0 : 1;
    ASSERT_NE(memory.stages[0].peak(), memory.stages[1].peak());
    mixed.gpus[small].memory = memory.stages[small].peak();
    EXPECT_TRUE(plan_run(config, mixed, 2, 1).fits);
    mixed.gpus[1 - small].memory = memory.stages[small].peak();
    EXPECT_FALSE(plan_run(config, mixed, 2, 1).fits);
}

TEST(RunPlan, CardsThatDifferAreListedApart) {
    Hardware mixed = cards(2, "1GiB");
    mixed.gpus[1].memory = std::uint64_t{2} << 30U;
    const RunConfig config = config_of("");
    const auto json = to_json(plan_run(config, mixed, 2, 1), config);
    ASSERT_EQ(json["ranks"].size(), 2U);
    EXPECT_EQ(json["ranks"][1]["rank"], 1);
}

}  // namespace
}  // namespace tandem
