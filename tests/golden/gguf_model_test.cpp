// Training straight from a GGUF file: the very numbers of training from what `tandem import --dtype fp32` makes of it.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/host_tensors.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

class GgufRun : public testing::TestWithParam<const char*> {};

TEST_P(GgufRun, IsThatOfTheImport) {
    const Scratch scratch;
    const std::string file = source_directory() / "tests/io/golden/byte_level.gguf", config = scratch / "run.ini",
                      data = scratch / "data.jsonl";
    std::ofstream(config) << "[data]\nformat = text\nmax_seq_length = 64\n[training]\nglobal_batch_size = 2\nmax_steps = 3\n[optimizer]\n"
                             "learning_rate = 1e-2\n[lora]\nr = 2\n[checkpoint]\nevery = 2\n";
    for (int i = 0; i < 8; ++i)
        std::ofstream(data, std::ios::app) << R"({"text": "hello there, the )" << i << R"( things"})"
                                           << "\n";
    run_well({"import", file, scratch / "imported", "--dtype", "fp32"});
    const auto train = [&](const std::string& model, const std::string& output, const Launch& launch) {
        run_well({"train", config, "--model.path", model, "--model.dtype", "fp32", "--method.type", GetParam(), "--data.train", data,
                  "--output.dir", output},
                 launch);
        std::vector<nlohmann::json> losses;
        for (const auto& step : read_steps(output)) losses.push_back({step.at("loss"), step.at("grad_norm"), step.at("tokens")});
        return losses;
    };
    const auto expected = train(scratch / "imported", scratch / "a", {});
    EXPECT_EQ(train(file, scratch / "b", {}), expected);
    train(file, scratch / "two", {.ranks = 2});
    const bool full = std::string(GetParam()) == "full";
    const std::string result = full ? "model" : "adapter";
    EXPECT_EQ(relative_distance(read_all_safetensors(scratch / ("b/" + result)), read_all_safetensors(scratch / ("a/" + result))), 0.0);
    EXPECT_LT(relative_distance(read_all_safetensors(scratch / ("two/" + result)), read_all_safetensors(scratch / ("a/" + result))), 1e-4);
    if (!full) return;
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "config.json"})
        EXPECT_EQ(read_text(scratch / (std::string("b/model/") + name)), read_text(scratch / (std::string("a/model/") + name))) << name;
    run_well({"export", scratch / "b", scratch / "exported"});
    EXPECT_EQ(relative_distance(read_all_safetensors(scratch / "exported"), read_all_safetensors(scratch / "a/model")), 0.0);
}

INSTANTIATE_TEST_SUITE_P(Methods, GgufRun, testing::Values("full", "lora", "qlora"));

}  // namespace
}  // namespace tandem::test
