// Models in four bits against transformers and bitsandbytes (make_quantized.py, check_quantized.py hashes): logits of directories that
// these wrote, and what `tandem quantize` and `tandem merge` write of real weights.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "src/engine/model_setup.h"
#include "src/io/safetensors.h"
#include "tests/golden/packed_ids.h"
#include "tests/golden/smollm2_file.h"
#include "tests/support/crc32.h"
#include "tests/support/figures.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

using nlohmann::json;

constexpr double kLogits = 1e-5;  ///< relative to the largest, fp32 against torch's fp32

std::filesystem::path folder() { return source_directory() / "tests/golden/quantized"; }

}  // namespace

class QuantizedLogits : public testing::TestWithParam<const char*> {};

TEST_P(QuantizedLogits, Match) {
    const json expected = json::parse(read_text(folder() / "expected.json"));
    RunConfig config;
    config.model.path = folder() / GetParam();
    config.model.dtype = DType::F32;
    config.method.type = Method::Full;
    config.device.backend = DeviceBackend::Cpu;
    PackedIds packed;
    packed.append(expected.at("ids").get<std::vector<std::int32_t>>());
    auto device = make_device(config, 1);
    reserve_up_to(device, std::size_t{1} << 30U);
    const auto self = make_self_communicator();
    const auto model = load_whole_model(config, device, *self, packed.max_length);
    const auto logits = all_logits(*model.transformer, packed.batch());
    const auto want = expected.at("variants").at(GetParam()).at("logits").get<std::vector<double>>();
    double largest = 0, difference = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
        largest = std::max(largest, std::abs(want[i]));
        difference = std::max(difference, std::abs(logits[logits.size() - want.size() + i] - want[i]));
    }
    EXPECT_LE(note_figure("logits in four bits", difference / largest), kLogits);
}

INSTANTIATE_TEST_SUITE_P(Variants, QuantizedLogits, testing::Values("nf4_nested", "nf4", "fp4_nested", "fp4", "nf4_bf16"));

/// The merged model of a base in four bits computes what base and adapter did: here by the program, which checks itself.
TEST(MergeProgram, SaysHowNearItIs) {
    const Scratch scratch;
    const std::string config = scratch / "run.ini";
    std::ofstream(config)
        << "[data]\nformat = tokenized\n[training]\nglobal_batch_size = 2\nmax_steps = 2\n[optimizer]\nlearning_rate = 1e-2\n";
    std::ofstream(scratch / "data.jsonl") << R"({"input_ids": [1, 17, 43, 8, 29, 49, 2]})"
                                          << "\n"
                                          << R"({"input_ids": [1, 5, 6, 7, 8, 9, 10, 11, 2]})"
                                          << "\n";
    for (const auto& [base, method, choice] : {std::tuple("base", "lora", "original"), std::tuple("nf4_nested", "qlora", "original"),
                                               std::tuple("base", "qlora", "dequantized")}) {
        const std::string name = std::string(base) + method, run = scratch / name, model = folder() / base;
        run_well({"train", config, "--model.path", model, "--method.type", method, "--data.train", scratch / "data.jsonl", "--output.dir",
                  run, "--model.dtype", "fp32"});
        const auto merge = [&](const Arguments& more) {
            return json::parse(
                run_well(Arguments{"merge", "--model", model, "--adapter", run + "/adapter", "--json", "--base", choice} + more).out);
        };
        const json out = merge({scratch / (name + "-merged"), "--dtype", "fp32"});
        EXPECT_EQ(out.at("merged"), 7);
        EXPECT_EQ(out.at("base"), choice);
        EXPECT_GT(out.at("check").at("largest_logit"), 0.01);
        EXPECT_LT(note_figure("merged in fp32, logits", out.at("check").at("largest_difference").get<double>()), 1e-5);
        const json recorded = json::parse(read_text(scratch / (name + "-merged/merge.json")));
        EXPECT_EQ(recorded.at("base"), choice);
        const json manifest = json::parse(read_text(run + "/manifest.json"));
        EXPECT_TRUE(manifest.at("model")
                        .at("fingerprint")
                        .get<std::string>()
                        .starts_with(recorded.at("model").at("fingerprint").get<std::string>()));
        EXPECT_EQ(recorded.at("quantization").is_null(), std::string(choice) == "original");
        EXPECT_LT(merge({scratch / (name + "-narrow")}).at("check").at("largest_difference"), 0.05);
        EXPECT_TRUE(merge({scratch / (name + "-unchecked"), "--no-check"}).at("check").is_null());
    }
    // Merged into the base as it is, a QLoRA adapter is another model: as far off as the blocks are.
    const json other = json::parse(run_well({"merge", "--model", folder() / "base", "--adapter", scratch / "baseqlora/adapter", "--json",
                                             "--dtype", "fp32", scratch / "other"})
                                       .out);
    EXPECT_LT(other.at("check").at("largest_difference"), 1e-5);
    EXPECT_NE(read_text(scratch / "other/model.safetensors"), read_text(scratch / "baseqlora-merged/model.safetensors"));
}

TEST(QuantizeProgram, MakesOfSmolLM2WhatBitsandbytesMakes) {
    if (!find_smollm2()) GTEST_SKIP() << kSmolLM2Missing;
    const Scratch scratch;
    run_well({"import", find_smollm2()->string(), scratch / "base"});
    const json out = json::parse(run_well({"quantize", scratch / "base", scratch / "out", "--json"}).out);
    EXPECT_EQ(out.at("quantized").at("matrices"), 210);
    std::map<std::string, std::vector<std::byte>> all;
    const SafetensorsModel model(scratch / "out");
    for (const auto& [name, entry] : model.tensors()) {
        auto& bytes = all[name.substr(name.rfind(".weight"))];
        bytes.resize(bytes.size() + entry.bytes);
        model.read(name, 0, std::span(bytes).last(entry.bytes));
    }
    const json expected = json::parse(read_text(smollm2_folder() / "quantized.json"));
    ASSERT_EQ(all.size(), expected.size());
    for (const auto& [kind, bytes] : all) EXPECT_EQ(crc32(bytes), expected.at(kind).get<std::uint32_t>()) << kind;
}

}  // namespace tandem::test
