// Planned bytes against what real runs reserve and use, over a grid of configurations.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/figures.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

using Json = nlohmann::json;

struct Case {
    std::string name, model;
    Arguments options;
    int ranks = 1;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const Arguments kLora = {}, kFull = {"--method.type", "full"};

std::vector<Case> grid() {
    return {
        {"lora_bf16", "llama_gqa", {}},
        {"lora_fp32", "llama_gqa", {"--model.dtype", "fp32"}},
        {"lora_fp64_ref", "llama_gqa", {"--model.dtype", "fp64", "--device.backend", "ref"}},
        {"lora_dropout", "llama_gqa", {"--lora.dropout", "0.1"}},
        {"lora_r4_attention", "llama_gqa", {"--lora.r", "4", "--lora.target_modules", "q_proj,v_proj"}},
        {"lora_micro_4", "llama_gqa", {"--training.micro_batch_size", "4"}},
        {"lora_micro_4_recompute", "llama_gqa", {"--training.micro_batch_size", "4", "--training.recompute", "full"}},
        {"lora_unpacked", "llama_gqa", {"--data.packing", "false"}},
        {"lora_short", "llama_gqa", {"--data.max_seq_length", "32"}},
        {"lora_3_threads", "llama_gqa", {"--device.threads", "3"}},
        {"lora_tied", "llama_tied", {}},
        {"lora_window", "mistral_window", {}},
        {"lora_biases", "qwen2_bias", {}},
        {"lora_qk_norm", "qwen3_norm", {}},
        {"full_bf16", "llama_gqa", kFull},
        {"full_fp32", "llama_gqa", kFull + Arguments{"--model.dtype", "fp32"}},
        {"full_sgd", "llama_gqa", kFull + Arguments{"--optimizer.name", "sgd"}},
        {"full_recompute", "llama_tied", kFull + Arguments{"--training.recompute", "full"}},
        {"full_biases", "qwen2_bias", kFull},
        {"full_qk_norm", "qwen3_norm", kFull},
        {"lora_2_ranks", "llama_gqa", {}, 2},
        {"full_2_ranks", "llama_gqa", kFull, 2},
    };
}

class MemoryGrid : public testing::TestWithParam<Case> {};

Arguments command(const std::string& verb, const std::string& config, const Case& c, const std::string& output) {
    const auto model = source_directory() / "tests/golden/models" / c.model;
    return Arguments{verb,
                     config,
                     "--model.path",
                     model.string(),
                     "--data.train",
                     (model / "data.jsonl").string(),
                     "--data.validation",
                     (model / "data.jsonl").string(),
                     "--output.dir",
                     output} +
           c.options;
}

std::string write_config(const Scratch& scratch) {
    const std::string file = scratch / "run.ini";
    std::ofstream(file) << "[data]\nformat = tokenized\nmax_seq_length = 64\n[training]\nmax_steps = 3\nglobal_batch_size = 8\n";
    return file;
}

}  // namespace

TEST_P(MemoryGrid, PlannedIsReservedAndEnough) {
    const Case& c = GetParam();
    const Scratch scratch;
    const std::string config = write_config(scratch), output = scratch / "out";
    const Launch launch{.ranks = c.ranks > 1 ? c.ranks : 0};
    const Arguments ranks = {"--json", "--ranks", std::to_string(c.ranks)};
    const Json plan = Json::parse(run_well(command("plan", config, c, output) + ranks, launch).out);
    run_well(command("train", config, c, output), launch);

    const Json manifest = Json::parse(read_text(output + "/manifest.json"));
    EXPECT_EQ(plan["ranks"][0]["bytes"], manifest["memory"]["reserved_bytes"]);
    std::size_t used = 0, resident = 0;
    for (const auto& step : read_steps(output)) {
        used = std::max(used, step["memory_peak_bytes"].get<std::size_t>());
        resident = std::max(resident, step["rss_peak_bytes"].get<std::size_t>());
    }
    const auto planned = plan["peak_bytes"].get<std::size_t>();
    EXPECT_LE(used, planned);
    EXPECT_GE(used, planned / 2) << "a plan of far more than is used keeps runs from starting";
    EXPECT_LE(resident, planned + planned / 10 + (std::size_t{150} << 20U));
}

INSTANTIATE_TEST_SUITE_P(, MemoryGrid, testing::ValuesIn(grid()), [](const auto& test) { return test.param.name; });

}  // namespace tandem::test
