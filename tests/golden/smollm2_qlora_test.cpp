// QLoRA of SmolLM2-135M-Instruct: the loss, and five steps, against peft over the base that bitsandbytes quantised and dequantised
// (make_smollm2_qlora.py), under several layouts.
#include "tests/golden/smollm2_fixture.h"

namespace tandem::test {
namespace {

const Arguments kQLora = {"--method.type", "qlora"};

class SmolLM2QLora : public SmolLM2 {
protected:
    static json want() { return json::parse(read_text(folder() / "qlora.json")); }
    static void check_five_steps(const Arguments& layout, int ranks) {
        const auto steps = five_steps(kQLora + layout, ranks);
        expect_steps(steps, want().at("steps"), ranks);
        if (steps.empty()) return;
        const double moved = norm(difference(read_all_safetensors(fs::path(output(ranks)) / "adapter"), before_));
        EXPECT_LE(relative_difference("norm of the adapter's change", moved, want().at("update_norm")), kStepLoss);
    }
};

TEST_F(SmolLM2QLora, Loss) { check_loss(kQLora, want().at("eval_loss")); }

TEST_F(SmolLM2QLora, FiveSteps) { check_five_steps({}, 1); }

TEST_F(SmolLM2QLora, FiveStepsInAPipeline) { check_five_steps({"--parallel.pipeline", "2"}, 2); }

/// Nine heads, three of them for keys and values. Of 576 inputs each rank has 192: three blocks a row.
TEST_F(SmolLM2QLora, FiveStepsWithSplitMatrices) { check_five_steps({"--parallel.tensor", "3"}, 3); }

/// Four rows a step, which two data-parallel ranks can share, are not what peft was given.
TEST_F(SmolLM2QLora, DataParallelRanksAndPipelinesOfThem) {
    const Arguments rows = kQLora + Arguments{"--training.max_steps", "5"};
    std::vector<double> one;
    for (const json& step : five_steps(rows, 1, 4)) one.push_back(step.at("loss"));
    ASSERT_EQ(one.size(), 5U);
    expect_as_one_rank(five_steps(rows + Arguments{"--parallel.data", "2"}, 2, 4), one);
    expect_as_one_rank(five_steps(rows + Arguments{"--parallel.data", "2", "--parallel.pipeline", "2"}, 4, 4), one);
}

}  // namespace
}  // namespace tandem::test
