// Evaluation and generation give what one rank gives, however the ranks share the model.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/support/figures.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kLoss = 1e-6, kExactLoss = 1e-12;  ///< relative

struct Layout {
    std::string name;
    int ranks;
    Arguments options;
};

void PrintTo(const Layout& layout, std::ostream* out) { *out << layout.name; }

const Arguments kTensor = {"--parallel.tensor", "2"}, kPipeline = {"--parallel.pipeline", "2"};

/// A model of five layers with a tokenizer of 257 bytes, which no number of ranks divides, and weights of one training step.
class Layouts : public testing::TestWithParam<Layout> {
protected:
    static void SetUpTestSuite() {
        scratch_ = std::make_unique<Scratch>();
        const fs::path tiny = source_directory() / "configs/tiny", start = *scratch_ / "start";
        fs::create_directory(start);
        for (const auto* file : {"tokenizer.json", "tokenizer_config.json"}) fs::copy_file(tiny / file, start / file);
        json config = json::parse(read_text(tiny / "config.json"));
        config.update({{"hidden_size", 48}, {"intermediate_size", 80}, {"num_hidden_layers", 5}, {"initializer_range", 0.2}});
        config.update({{"num_attention_heads", 4}, {"num_key_value_heads", 2}});
        std::ofstream(start / "config.json") << config.dump();
        std::ofstream(*scratch_ / "run.ini") << "[data]\nmax_seq_length = 48\nformat = tokenized\n[training]\nglobal_batch_size = 4\n";
        run_well(words("train", start) + Arguments{"--model.init", "random", "--method.type", "full", "--output.dtype", "fp32",
                                                   "--training.max_steps", "1", "--output.dir", *scratch_ / "run"});
    }
    static void TearDownTestSuite() { scratch_.reset(); }

    static fs::path model() { return scratch_->path() / "run/model"; }
    static Arguments words(const std::string& command, const fs::path& model) {
        const auto data = (source_directory() / "tests/golden/models/llama2_mha/data.jsonl").string();
        return {command, *scratch_ / "run.ini", "--model.path", model.string(), "--data.train", data, "--data.validation", data};
    }
    static json evaluate(const Arguments& options, const Launch& launch) {
        return json::parse(
            run_well(words("eval", model()) + Arguments{"--json", "--output.dir", *scratch_ / "eval"} + options, launch).out);
    }
    static std::string generate(const Arguments& options, const Launch& launch) {
        const Arguments words = {"generate", "--model", model().string(), "--prompt", "A rank ", "--max-new-tokens", "24"};
        return run_well(words + Arguments{"--model.dtype", "fp32"} + options, launch).out;
    }

    static inline std::unique_ptr<Scratch> scratch_;
};

class Evaluation : public Layouts {};
class Generation : public Layouts {};

}  // namespace

TEST_P(Evaluation, IsThatOfOneRank) {
    const Arguments single = {"--model.dtype", "fp32"}, exact = {"--model.dtype", "fp64", "--device.backend", "ref"};
    for (const auto& [type, bound] : {std::pair{single, kLoss}, {exact, kExactLoss}}) {
        const json want = evaluate(type, {});
        const json got = evaluate(type + GetParam().options, {.ranks = GetParam().ranks});
        EXPECT_LE(relative_difference("loss, " + type[1], got.at("eval_loss"), want.at("eval_loss")), bound);
        EXPECT_EQ(got.at("tokens"), want.at("tokens"));
        EXPECT_EQ(got.at("trained_tokens"), want.at("trained_tokens"));
        EXPECT_GT(want.at("trained_tokens").get<int>(), 0);
    }
}

TEST_P(Generation, IsThatOfOneRank) {
    for (const Arguments& how : {Arguments{}, Arguments{"--temperature", "0.9", "--top-p", "0.95", "--seed", "7"}}) {
        const std::string want = generate(how, {});
        EXPECT_EQ(generate(how + GetParam().options, {.ranks = GetParam().ranks}), want);
        EXPECT_GT(std::set<char>(want.begin(), want.end()).size(), 4U) << "a text that every mistake would give: " << want;
    }
}

INSTANTIATE_TEST_SUITE_P(, Evaluation,
                         testing::ValuesIn(std::vector<Layout>{
                             {"pipeline_2", 2, kPipeline},
                             {"tensor_2", 2, kTensor},
                             {"data_2_pipeline_2", 4, kPipeline + Arguments{"--training.micro_batch_size", "2"}},
                             {"chunks_2", 2, kPipeline + Arguments{"--parallel.schedule", "interleaved", "--parallel.chunks", "2"}},
                         }),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(, Generation,
                         testing::ValuesIn(std::vector<Layout>{
                             {"pipeline_2", 2, kPipeline},
                             {"tensor_2", 2, kTensor},
                             {"tensor_2_pipeline_2", 4, kTensor + kPipeline},
                             {"idle_ranks", 4, kPipeline},
                         }),
                         [](const auto& test) { return test.param.name; });

}  // namespace tandem::test
