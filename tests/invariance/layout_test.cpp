// What is learned does not depend on how the work was split: ranks, micro-batches, packing, recompute, ZeRO level.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/invariance/invariance_run.h"

namespace tandem::test {
namespace {

Arguments micro(int sequences) { return {"--training.micro_batch_size", std::to_string(sequences)}; }
/// The golden data fill 4 rows with the samples of a global batch of 8.
const Arguments kPacked = {"--data.packing", "true", "--training.global_batch_size", "4"};
const Arguments kRecompute = {"--training.recompute", "full"};
const Arguments kKeep = {"--training.recompute", "none"};

struct Group {
    Subject subject;
    std::vector<Layout> layouts;  ///< each against one rank, one sequence at a time, nothing recomputed
    friend std::ostream& operator<<(std::ostream& out, const Group& group) { return out << group.subject; }
};

// An epoch's last batch is half as large, so that with 4 packed ranks some have nothing to do in it.
const Group kGroups[] = {
    {{"lora_dropout_shuffled_fp64",
      "llama_gqa",
      "lora",
      "ref",
      "fp64",
      {"--data.shuffle", "true", "--training.epochs", "2", "--lora.dropout", "0.1"}},
     {{"np1", 1, {}},
      {"np2_micro2", 2, micro(2)},
      {"np4", 4, {}},
      {"micro4", 0, micro(4)},
      {"micro8_recompute", 0, micro(8) + kRecompute}}},
    {{"full_tied_fp64", "llama_tied", "full", "ref", "fp64", {"--optimizer.weight_decay", "0.1"}},
     {{"packed_np2", 2, kPacked},
      {"np4_micro2_recompute", 4, micro(2) + kRecompute},
      {"packed_micro4", 0, kPacked + micro(4)},
      {"zero0_np2", 2, {"--parallel.zero", "0"}}}},
    {{"full_qwen3_sgd_fp64", "qwen3_norm", "full", "ref", "fp64", {"--optimizer.name", "sgd"}, "0.5"},
     {{"np2_micro4", 2, micro(4)}, {"packed_recompute", 0, kPacked + kRecompute}}},
    {{"lora_fp32", "llama_gqa", "lora", "cpu", "fp32", {}},
     {{"micro2", 0, micro(2)},
      {"micro4_recompute", 0, micro(4) + kRecompute},
      {"packed", 0, kPacked},
      {"np2", 2, {}},
      {"np2_packed_micro2_recompute", 2, kPacked + micro(2) + kRecompute},
      {"np4_packed", 4, kPacked},
      {"threads2_micro4", 0, micro(4) + Arguments{"--device.threads", "2"}}}},
    {{"full_untied_fp32", "llama_gqa", "full", "cpu", "fp32", {}},
     {{"micro4", 0, micro(4)}, {"np2_packed", 2, kPacked}, {"np4_micro2_recompute", 4, micro(2) + kRecompute}}},
    {{"full_tied_fp32", "llama_tied", "full", "cpu", "fp32", {}},
     {{"micro2_recompute", 0, micro(2) + kRecompute}, {"np2_micro4", 2, micro(4)}, {"np4_packed", 4, kPacked}}},
    {{"full_bias_fp32", "qwen2_bias", "full", "cpu", "fp32", {}}, {{"packed_micro4", 0, kPacked + micro(4)}, {"np2", 2, {}}}},
    {{"lora_window_fp32", "mistral_window", "lora", "cpu", "fp32", {}},
     {{"packed_micro2", 0, kPacked + micro(2)}, {"np2_micro2_recompute", 2, micro(2) + kRecompute}}},
    {{"full_sgd_fp32", "llama_tied", "full", "cpu", "fp32", {"--optimizer.name", "sgd"}, "0.5"},
     {{"np2_packed", 2, kPacked}, {"micro4_recompute", 0, micro(4) + kRecompute}}},
    // Embedding and head have their moments in eight bits.
    {{"full_8bit_fp32", "llama_gqa", "full", "cpu", "fp32", {"--optimizer.name", "adamw_8bit", "--optimizer.weight_decay", "0.1"}},
     {{"micro4_recompute", 0, micro(4) + kRecompute},
      {"np2_zero0", 2, {"--parallel.zero", "0"}},
      {"np2_zero1", 2, {"--parallel.zero", "1"}},
      {"np2_zero2_packed", 2, kPacked + Arguments{"--parallel.zero", "2"}},
      {"np4_zero1_micro2", 4, micro(2) + Arguments{"--parallel.zero", "1"}},
      {"np4_zero2", 4, {"--parallel.zero", "2"}},
      {"pipeline2", 2, {"--parallel.pipeline", "2"}},
      {"tensor2", 2, {"--parallel.tensor", "2"}},
      {"pipeline2_np4_zero2", 4, {"--parallel.pipeline", "2", "--parallel.zero", "2"}}}},
    {{"full_tied_8bit_fp32", "llama_tied", "full", "cpu", "fp32", {"--optimizer.name", "paged_adamw_8bit"}},
     {{"np4_zero2", 4, {}}, {"pipeline2_zero1_np4", 4, {"--parallel.pipeline", "2", "--parallel.zero", "1"}}}},
    {{"full_8bit_bf16", "llama_gqa", "full", "cpu", "bf16", {"--optimizer.name", "adamw_8bit"}}, {{"np2", 2, {}}}},
    {{"lora_bf16", "llama_gqa", "lora", "cpu", "bf16", {}},
     {{"np2_packed", 2, kPacked}, {"micro4_recompute", 0, micro(4) + kRecompute}, {"np4", 4, {}}}},
    {{"full_bf16", "llama_tied", "full", "cpu", "bf16", {}}, {{"np2_packed_micro2", 2, kPacked + micro(2)}}},
};

class Invariance : public testing::TestWithParam<Group> {};

TEST_P(Invariance, LossesNormsAndUpdates) {
    const auto& [subject, layouts] = GetParam();
    const Scratch output;
    const auto want = train(subject, {"one", 0, kKeep}, output / "one");
    ASSERT_FALSE(want.steps.empty());
    for (const auto& layout : layouts) {
        SCOPED_TRACE(layout.name);
        const auto recompute = std::find(layout.options.begin(), layout.options.end(), kRecompute[0]) != layout.options.end();
        const auto got = train(subject, layout, output / layout.name, recompute ? Arguments{} : kKeep);
        if (!got.steps.empty()) expect_alike(subject, got, want);
    }
}

INSTANTIATE_TEST_SUITE_P(Layouts, Invariance, testing::ValuesIn(kGroups), [](const auto& test) { return test.param.subject.name; });

/// Same build, layout and thread count: the same bits.
TEST(Determinism, RepeatedRunsAreBitIdentical) {
    const Scratch output;
    const Subject lora = {"lora", "llama_gqa", "lora", "cpu", "bf16", {"--lora.dropout", "0.1"}};
    const Subject full = {"full", "llama_tied", "full", "cpu", "fp32", {}};
    const std::vector<Layout> layouts = {{"threads2", 0, {"--device.threads", "2"}}, {"np2", 2, {}}};
    for (const auto& subject : {lora, full}) {
        for (const auto& layout : layouts) {
            SCOPED_TRACE(subject.name + " " + layout.name);
            const auto first = train(subject, layout, output / (subject.name + layout.name + "1"));
            const auto second = train(subject, layout, output / (subject.name + layout.name + "2"));
            if (!first.steps.empty()) expect_identical(second, first);
        }
    }
}

/// Where states lie between steps is no part of what is computed.
TEST(Determinism, PagedStatesAreTheSameToTheBit) {
    const Scratch output;
    const auto subject = [](const char* optimizer) {
        return Subject{optimizer, "llama_tied", "full", "cpu", "fp32", {"--optimizer.name", optimizer, "--training.max_steps", "7"}};
    };
    const std::vector<Layout> layouts = {
        {"one", 0, {}}, {"np2_zero1", 2, {"--parallel.zero", "1"}}, {"pipeline2", 2, {"--parallel.pipeline", "2"}}};
    for (const Layout& layout : layouts) {
        SCOPED_TRACE(layout.name);
        const auto resident = train(subject("adamw_8bit"), layout, output / ("resident" + layout.name));
        const auto paged = train(subject("paged_adamw_8bit"), layout, output / ("paged" + layout.name));
        ASSERT_EQ(resident.steps.size(), 7U);
        expect_identical(paged, resident);
    }
}

/// The comparison itself: another seed of the dropout masks is another result.
TEST(Determinism, AnotherSeedIsSeen) {
    const Scratch output;
    const Subject subject = {"lora", "llama_gqa", "lora", "cpu", "fp32", {"--lora.dropout", "0.1"}};
    const auto one = train(subject, {"one", 0, {}}, output / "one");
    const auto other = train(subject, {"other", 0, {"--training.seed", "43"}}, output / "other");
    ASSERT_FALSE(one.steps.empty() || other.steps.empty());
    EXPECT_GT(relative_distance(other.update, one.update), bounds_of(subject).update);
    EXPECT_NE(one.steps[0].at("loss"), other.steps[0].at("loss"));
}

}  // namespace
}  // namespace tandem::test
