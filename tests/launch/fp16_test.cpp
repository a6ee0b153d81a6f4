// What fp16 does not hold is an error that says so, never a number that means nothing; and what takes fp16 and what does not.
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "tests/support/host_tensors.h"
#include "tests/support/text_model.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const char* const kUp = "model.layers.2.mlp.up_proj.weight";
const char* const kDown = "model.layers.2.mlp.down_proj.weight";

struct Layout {
    int ranks;
    Arguments options;
};
const Layout kLayouts[] = {{0, {}}, {2, {"--parallel.pipeline", "2"}}, {2, {"--parallel.tensor", "2"}}};

class Fp16 : public testing::Test {
protected:
    static void SetUpTestSuite() { model_ = std::make_unique<TextModel>(); }
    static void TearDownTestSuite() { model_.reset(); }

    /// The model, changed, in a directory of its own.
    static fs::path changed(const std::string& name, const std::function<void(HostTensors&)>& change) {
        const fs::path directory = *model_ / name;
        fs::copy(model_->directory(), directory);
        fs::remove(directory / "model.safetensors");
        HostTensors weights = read_all_safetensors(model_->directory());
        change(weights);
        write_safetensors(directory / "model.safetensors", weights);
        return directory;
    }
    static Arguments eval(const fs::path& model, const std::string& dtype) {
        return model_->words("eval", model) + Arguments{"--method.type", "full", "--output.dir", *model_ / "eval", "--model.dtype", dtype};
    }
    static Arguments generate(const fs::path& model, const std::string& dtype) {
        return {"generate", "--model", model.string(), "--prompt", "A rank ", "--max-new-tokens", "8", "--model.dtype", dtype};
    }
    static Arguments training(const std::string& output, const Arguments& more) {
        return model_->words("train") + Arguments{"--method.type", "full", "--training.max_steps", "1", "--output.dir", *model_ / output} +
               more;
    }

    static inline std::unique_ptr<TextModel> model_;
};

/// Ends with `code` and one message that has all of `parts`.
void expect_refusal(const Arguments& words, int code, const std::vector<std::string>& parts, int ranks = 0) {
    const Finished run = run_program(words, {.ranks = ranks});
    EXPECT_EQ(run.code, code) << run.command << "\n" << run.out << run.err;
    const auto at = run.err.find("tandem: error: ");
    ASSERT_NE(at, std::string::npos) << run.command << "\n" << run.err;
    EXPECT_EQ(run.err.find("tandem: error: ", at + 1), std::string::npos) << "a second message:\n" << run.err;
    const std::string line = run.err.substr(at, run.err.find('\n', at) - at);
    for (const auto& part : parts) EXPECT_NE(line.find(part), std::string::npos) << part << " is not in: " << line;
}

}  // namespace

TEST_F(Fp16, AWeightThatItDoesNotHoldIsNamed) {
    const fs::path model = changed("large", [](HostTensors& weights) { weights.at(kUp).values[48 * 3 + 5] = -70000; });
    for (const Layout& layout : kLayouts) {
        for (const Arguments& words : {eval(model, "fp16"), generate(model, "fp16")})
            expect_refusal(words + layout.options, 3, {kUp, "element 149 is -70000, which fp16 does not hold", "bf16 or fp32"},
                           layout.ranks);
    }
    run_well(eval(model, "bf16"));
    run_well({"quantize", model.string(), *model_ / "blocks"});
    const fs::path blocks = *model_ / "blocks";
    for (const Arguments& words : {eval(blocks, "fp16"), generate(blocks, "fp16")})
        expect_refusal(words, 3, {kUp, "the scale of a block: element 128 is", "which fp16 does not hold"});
    expect_refusal(generate(model, "fp16") + Arguments{"--quantization.type", "nf4"}, 3, {kUp, "the scale of a block"});
}

TEST_F(Fp16, ActivationsThatItDoesNotHoldEndTheRun) {
    const fs::path model = changed("hot", [](HostTensors& weights) {
        for (const char* name : {kUp, kDown})
            for (double& w : weights.at(name).values) w *= 1e4;
    });
    for (const Layout& layout : kLayouts) {
        expect_refusal(eval(model, "fp16") + layout.options, 5,
                       {"the loss of data.validation is not finite: fp16 overflowed", "bf16 or fp32"}, layout.ranks);
        expect_refusal(generate(model, "fp16") + layout.options, 5, {"the model's logits are not finite: fp16 overflowed", "bf16 or fp32"},
                       layout.ranks);
    }
    const Finished run = run_program(eval(model, "fp16") + Arguments{"--json"});
    EXPECT_TRUE(json::parse(run.out).at("eval_loss").is_null()) << run.out;
    EXPECT_TRUE(json::parse(run.out).at("nonfinite")) << run.out;
    run_well(eval(model, "bf16"));
    run_well(generate(model, "bf16"));
}

TEST_F(Fp16, IsNotTrainedIn) {
    const std::vector<std::string> parts = {"command line: model.dtype = fp16 is not built for training", "loss scaling", "bf16 or fp32"};
    expect_refusal(training("refused", {"--model.dtype", "fp16"}), 2, parts);
    for (const char* command : {"plan", "bench"}) expect_refusal(model_->words(command) + Arguments{"--model.dtype", "fp16"}, 2, parts);
    EXPECT_FALSE(fs::exists(*model_ / "refused"));
}

TEST_F(Fp16, ATrainedModelIsWrittenInIt) {
    run_well(training("half", {"--output.dtype", "fp16"}));
    run_well(training("single", {"--output.dtype", "fp32"}));
    const fs::path half = *model_ / "half/model";
    const json config = json::parse(read_text(half / "config.json"));
    EXPECT_EQ(config.at(config.contains("dtype") ? "dtype" : "torch_dtype"), "float16");
    EXPECT_NE(read_text(half / "model.safetensors").find(R"("dtype":"F16")"), std::string::npos);
    const double distance = relative_distance(read_all_safetensors(half), read_all_safetensors(*model_ / "single/model"));
    EXPECT_GT(distance, 0);
    EXPECT_LT(distance, 0x1p-11);
    run_well(generate(half, "fp16"));
    run_well({"export", *model_ / "single", *model_ / "exported", "--dtype", "fp16"});
    EXPECT_EQ(read_text(fs::path(*model_ / "exported") / "model.safetensors"), read_text(half / "model.safetensors"));
}

TEST_F(Fp16, ATrainedWeightThatItDoesNotHoldLeavesTheCheckpoint) {
    const fs::path model = changed("trained", [](HostTensors& weights) { weights.at(kUp).values[7] = 1e5; });
    const Arguments words =
        model_->words("train", model) + Arguments{"--method.type", "full", "--training.max_steps", "1",   "--output.dir", *model_ / "over",
                                                  "--model.dtype", "fp32", "--output.dtype",       "fp16"};
    const std::vector<std::string> parts = {std::string("trained tensor '") + kUp + "': element 7 is ", "which fp16 does not hold",
                                            "tandem export --dtype bf16 or fp32"};
    expect_refusal(words, 3, parts);
    EXPECT_FALSE(fs::exists(*model_ / "over/model"));
    ASSERT_TRUE(fs::exists(*model_ / "over/checkpoints/step-1.h5"));
    expect_refusal({"export", *model_ / "over", *model_ / "none"}, 3, parts);
    run_well({"export", *model_ / "over", *model_ / "wide", "--dtype", "bf16"});
}

}  // namespace tandem::test
