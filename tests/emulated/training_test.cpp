// The whole cuda backend, every kernel of it, in training runs of the real program on the emulated GPU: what it learns is what the cpu
// backend learns, on one rank and on several that share the card over the staged transport; and with graphs, to the bit.
#include <gtest/gtest.h>

#include <regex>

#include "tests/invariance/invariance_run.h"

namespace tandem::test {
namespace {

struct Case {
    Subject subject;  ///< of the cpu's run; the emulated one has the same words but the backend
    std::vector<Layout> layouts;
    bool graphs = false;  ///< trained again with device.graphs = on
    friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.subject; }
};

const Arguments kShort = {"--training.max_steps", "3"};
const Arguments kQuantised = kShort + Arguments{"--optimizer.name", "adamw_8bit"};

/// A made-up library in the place of cuDNN (tests/support/emulator/attention_library.h).
const Arguments kLibrary = {"--device.attention", "cudnn"};

const Case kCases[] = {
    {{"lora_dropout_fp32", "llama_gqa", "lora", "cpu", "fp32", kShort + Arguments{"--lora.dropout", "0.1"}},
     {{"one", 0, {}}, {"pipeline2", 2, {"--parallel.pipeline", "2"}}, {"tensor2", 2, {"--parallel.tensor", "2"}}},
     true},
    {{"full_tied_fp32", "llama_tied", "full", "cpu", "fp32", kShort},
     {{"recomputed", 0, {"--training.recompute", "full"}}, {"data2", 2, {}}},
     true},
    {{"full_bias_bf16", "qwen2_bias", "full", "cpu", "bf16", kShort}, {{"one", 0, {}}, {"library", 0, kLibrary}}, true},
    {{"full_qk_norm_paged_bf16", "qwen3_norm", "full", "cpu", "bf16", kShort + Arguments{"--optimizer.name", "paged_adamw_8bit"}},
     {{"one", 0, {}}}},
    {{"lora_window_bf16", "mistral_window", "lora", "cpu", "bf16",
      kShort + Arguments{"--data.packing", "true", "--training.global_batch_size", "4"}},
     {{"one", 0, {}}, {"data2", 2, {}}, {"library_data2", 2, kLibrary}}},
    {{"qlora_bf16", "llama_gqa", "qlora", "cpu", "bf16", kQuantised},
     {{"one", 0, {}}, {"pipeline2", 2, {"--parallel.pipeline", "2"}}},
     true},
};

/// Two backends round 16-bit products at other places, so that there the design's bound of losses holds, and of updates what the walk of
/// the matrix allows; fp32 as between layouts.
Bounds bounds_between_backends(const Subject& subject) {
    Bounds bounds = bounds_of(subject);
    if (subject.dtype == "bf16") bounds.update = 0.25;
    return bounds;
}

/// Graphs that were launched, from the line that a run ends with.
int graph_launches(const std::string& out) {
    std::smatch found;
    EXPECT_TRUE(std::regex_search(out, found, std::regex("graphs: [0-9]+ of [0-9]+ calls in ([0-9]+) launches"))) << out;
    return found.empty() ? 0 : std::stoi(found[1]);
}

class Emulated : public testing::TestWithParam<Case> {};

}  // namespace

TEST_P(Emulated, LearnsWhatTheCpuLearns) {
    const Scratch scratch;
    const Subject& subject = GetParam().subject;
    const Trained want = train(subject, {"cpu", 0, {}}, scratch / "cpu");
    ASSERT_FALSE(want.steps.empty());
    Subject emulated = subject;
    emulated.backend = "cuda";
    for (const Layout& layout : GetParam().layouts) {
        SCOPED_TRACE(layout.name);
        const std::string output = scratch / layout.name;
        const auto run = run_well(training_command(emulated, output) + layout.options, {.ranks = layout.ranks, .program = TANDEM_EMULATED});
        if (run.code != 0) continue;
        EXPECT_NE(run.out.find("emulated GPU"), std::string::npos) << run.out;
        EXPECT_EQ(run.out.find("transport: staged (") != std::string::npos, layout.ranks > 1) << run.out;
        EXPECT_EQ(run.out.find("attention forward by emulated attention library") != std::string::npos, layout.options == kLibrary)
            << run.out;
        const Trained got = read_trained(subject, output);
        expect_alike(subject, got, want, bounds_between_backends(subject));
        if (!GetParam().graphs) continue;
        const std::string again = scratch / (layout.name + "_graphs");
        const auto graphed = run_well(training_command(emulated, again) + layout.options + Arguments{"--device.graphs", "on"},
                                      {.ranks = layout.ranks, .program = TANDEM_EMULATED});
        if (graphed.code != 0) continue;
        EXPECT_GT(graph_launches(graphed.out), 0);
        expect_identical(read_trained(subject, again), got);
    }
}

INSTANTIATE_TEST_SUITE_P(, Emulated, testing::ValuesIn(kCases), [](const auto& row) { return row.param.subject.name; });

}  // namespace tandem::test
