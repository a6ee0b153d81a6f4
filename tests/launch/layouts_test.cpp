// Evaluation and generation give what one rank gives, however the ranks share the model.
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "tests/support/figures.h"
#include "tests/support/program.h"
#include "tests/support/text_model.h"

namespace tandem::test {
namespace {

using nlohmann::json;

constexpr double kLoss = 1e-6, kExactLoss = 1e-12;  ///< relative

struct Layout {
    std::string name;
    int ranks;
    Arguments options;
};

void PrintTo(const Layout& layout, std::ostream* out) { *out << layout.name; }

const Arguments kTensor = {"--parallel.tensor", "2"}, kPipeline = {"--parallel.pipeline", "2"};

class Layouts : public testing::TestWithParam<Layout> {
protected:
    static void SetUpTestSuite() { model_ = std::make_unique<TextModel>(); }
    static void TearDownTestSuite() { model_.reset(); }

    static json evaluate(const Arguments& options, const Launch& launch) {
        return json::parse(run_well(model_->words("eval") + Arguments{"--json", "--output.dir", *model_ / "eval"} + options, launch).out);
    }
    static std::string generate(const Arguments& options, const Launch& launch) {
        const Arguments words = {"generate", "--model", model_->directory().string(), "--prompt", "A rank ", "--max-new-tokens", "24"};
        return run_well(words + Arguments{"--model.dtype", "fp32"} + options, launch).out;
    }

    static inline std::unique_ptr<TextModel> model_;
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
