// Numbers that overflow in the middle of a pipeline end the run as they do on one rank.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/host_tensors.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

struct Layout {
    int ranks;
    Arguments options;
};

const std::vector<Layout> kLayouts = {{3, {"--parallel.pipeline", "3"}},
                                      {4, {"--parallel.pipeline", "2", "--parallel.layers", "3,2", "--parallel.zero", "2"}},
                                      {2, {"--parallel.tensor", "2"}}};

/// Five layers, the third of which computes more than its type can hold; what is not finite itself would be refused when it is read.
class Diverged : public testing::Test {
protected:
    void SetUp() override {
        std::ofstream(scratch_ / "run.ini") << "[model]\ndtype = fp32\n[data]\nmax_seq_length = 48\nformat = tokenized\n"
                                               "[training]\nglobal_batch_size = 4\nmax_steps = 2\n";
        const auto start = source_directory() / "tests/invariance/models/untied";
        run_well(words(start, "start") + Arguments{"--model.init", "random", "--method.type", "full", "--training.max_steps", "1"});
        const fs::path model = scratch_.path() / "start/model";
        HostTensors weights = read_all_safetensors(model);
        for (const auto* name : {"up_proj", "down_proj"}) {
            for (double& w : weights.at(std::string("model.layers.2.mlp.") + name + ".weight").values) w *= 1e25;
        }
        fs::create_directory(scratch_ / "broken");
        fs::copy_file(model / "config.json", scratch_.path() / "broken/config.json");
        write_safetensors(scratch_.path() / "broken/model.safetensors", weights);
    }

    [[nodiscard]] Arguments words(const fs::path& model, const std::string& output) const {
        const auto data = (source_directory() / "tests/golden/models/llama2_mha/data.jsonl").string();
        return {"train", scratch_ / "run.ini", "--model.path", model.string(), "--data.train", data, "--output.dir", scratch_ / output};
    }

    /// The one line that says why; `options` beside the layout's.
    std::string reason(const Arguments& options, int ranks) {
        const std::string output = "out" + std::to_string(++runs_);
        const auto run = run_program(words(scratch_.path() / "broken", output) + options, {.ranks = ranks});
        EXPECT_EQ(run.code, 5) << run.command << "\n" << run.err;
        std::string line, found;
        std::istringstream lines(run.err);
        while (std::getline(lines, line)) {
            if (!line.starts_with("tandem: error: ")) continue;
            EXPECT_EQ(found, "") << "a second message: " << line;
            found = line;
        }
        EXPECT_FALSE(fs::exists(scratch_.path() / output / "model")) << "a run that diverged leaves no result";
        return found;
    }

    Scratch scratch_;
    int runs_ = 0;
};

}  // namespace

TEST_F(Diverged, NamesTheFirstParameterInEveryLayout) {
    const std::pair<const char*, const char*> methods[] = {{"full", "'model.embed_tokens.weight'"},
                                                           {"lora", "model.layers.0.self_attn.q_proj.lora_A"}};
    for (const auto& [method, parameter] : methods) {
        const Arguments type = {"--method.type", method};
        const std::string want = reason(type, 0);
        EXPECT_NE(want.find("step 1: the loss is nan"), std::string::npos) << want;
        EXPECT_NE(want.find(parameter), std::string::npos) << want;
        for (const Layout& layout : kLayouts) EXPECT_EQ(reason(type + layout.options, layout.ranks), want) << layout.ranks << " ranks";
    }
}

TEST_F(Diverged, SkippingEveryStepIsNoSuccess) {
    const std::string said = reason(Arguments{"--training.nonfinite", "skip"} + kLayouts[0].options, kLayouts[0].ranks);
    EXPECT_NE(said.find("every step was skipped"), std::string::npos) << said;
}

}  // namespace tandem::test
