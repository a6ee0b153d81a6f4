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

const Arguments kFull = {"--method.type", "full"}, kRecompute = {"--training.recompute", "full"};
const Arguments kEightBit = {"--method.type", "full", "--optimizer.name", "adamw_8bit"};
const Arguments kPaged = {"--method.type", "full", "--optimizer.name", "paged_adamw_8bit"};
const Arguments kTensor = {"--parallel.tensor", "2"}, kPipeline = {"--parallel.pipeline", "2"};
/// Their config.json is all there is of them: five layers.
const std::string kDeep = "invariance/models/untied", kDeepTied = "invariance/models/tied";

Arguments zero(const std::string& level) { return {"--parallel.zero", level}; }
Arguments schedule(const std::string& name, const std::string& chunks = "1") {
    return {"--parallel.schedule", name, "--parallel.chunks", chunks};
}

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
        {"pipeline_lora", "llama_gqa", kPipeline, 2},
        {"pipeline_full", kDeep, kPipeline + kFull, 2},
        {"pipeline_tied", kDeepTied, kPipeline + kFull, 2},
        {"pipeline_recompute", kDeep, kPipeline + kFull + kRecompute, 2},
        {"pipeline_interleaved", kDeep, kPipeline + schedule("interleaved", "2"), 2},
        {"pipeline_interleaved_tied", kDeepTied, kPipeline + schedule("interleaved", "2") + kFull + kRecompute, 2},
        {"pipeline_zb_h1", kDeep, kPipeline + schedule("zb-h1") + kFull, 2},
        {"pipeline_gpipe", kDeep, kPipeline + schedule("gpipe"), 2},
        {"tensor_lora", "llama_gqa", kTensor, 2},
        {"tensor_full", kDeep, kTensor + kFull, 2},  // half of its vocabulary is not a whole number
        {"data_full_zero_0", "llama_gqa", kFull + zero("0"), 2},
        {"data_full_zero_1", "llama_gqa", kFull + zero("1"), 2},
        {"data_full_zero_2", "llama_gqa", kFull + zero("2"), 2},
        {"data_pipeline_zero_2", kDeepTied, kPipeline + kFull + zero("2"), 4},
        {"data_tensor", kDeep, kTensor + kFull, 4},
        {"tensor_pipeline", kDeepTied, kTensor + kPipeline, 4},
        // Two matrices of each model have 4096 elements: of the shards of some ranks all is in eight bits, of others nothing.
        {"eight_bit", "llama_gqa", kEightBit},
        {"eight_bit_lora", "llama_gqa", {"--optimizer.name", "adamw_8bit", "--lora.r", "64"}},
        {"eight_bit_tied", "llama_tied", kEightBit},
        {"paged", "llama_gqa", kPaged},
        {"paged_lora", "llama_gqa", {"--optimizer.name", "paged_adamw_8bit", "--lora.r", "64"}},
        {"eight_bit_zero_0", "llama_gqa", kEightBit + zero("0"), 2},
        {"eight_bit_zero_1", "llama_gqa", kEightBit + zero("1"), 2},
        {"eight_bit_zero_2", kDeepTied, kEightBit + zero("2"), 4},
        {"paged_zero_2", "llama_gqa", kPaged + zero("2"), 4},
        {"eight_bit_tensor", "llama_gqa", kTensor + kEightBit, 2},
        {"eight_bit_data_pipeline", "llama_gqa", kPipeline + kEightBit, 4},
        {"paged_tensor_pipeline", "llama_gqa", kTensor + kPipeline + kPaged, 4},
    };
}

/// The plan lists one rank of every pipeline stage, which stands for the others.
Json bytes_by_rank(const Json& plan) {
    const int ranks = plan["layout"]["ranks"];
    const int per_stage = plan["layout"]["data"].get<int>() * plan["layout"]["tensor"].get<int>();
    Json list = Json::array();
    for (int r = 0; r < ranks; ++r) {
        for (const Json& group : plan["ranks"]) {
            if (group["pipeline"] == r / per_stage) list.push_back(group["bytes"]);
        }
    }
    return list;
}

class MemoryGrid : public testing::TestWithParam<Case> {};

std::filesystem::path directory_of(const std::string& model) {
    return source_directory() / "tests" / (model.find('/') == std::string::npos ? "golden/models/" + model : model);
}

Arguments command(const std::string& verb, const std::string& config, const Case& c, const std::string& output) {
    const auto model = directory_of(c.model);
    const bool weights = std::filesystem::exists(model / "model.safetensors.index.json") || exists(model / "model.safetensors");
    // The smallest vocabulary has every id of this file.
    const std::string data = (weights ? model / "data.jsonl" : directory_of("llama2_mha") / "data.jsonl").string();
    return Arguments{verb,           config, "--model.path",      model.string(), "--model.init", weights ? "pretrained" : "random",
                     "--data.train", data,   "--data.validation", data,           "--output.dir", output} +
           c.options;
}

std::string write_config(const Scratch& scratch) {
    const std::string file = scratch / "run.ini";
    std::ofstream(file) << "[data]\nformat = tokenized\nmax_seq_length = 64\n[training]\nmax_steps = 3\nglobal_batch_size = 8\n";
    return file;
}

/// Some machine with room for everything: without one, each plan begins with a second of measuring this one, for times that nobody reads
/// here.
std::string write_hardware(const Scratch& scratch, int ranks) {
    const std::string file = scratch / "machine.ini";
    std::ofstream(file) << "[gpu]\nbackend = cpu\nmemory = 64GiB\nbf16_tflops = 1\nmemory_bandwidth = 10\n[node]\nlink = "
                           "memory\nlink_bandwidth = 10\ngpus = "
                        << ranks << "\n";
    return file;
}

}  // namespace

TEST_P(MemoryGrid, PlannedIsReservedAndEnough) {
    const Case& c = GetParam();
    const Scratch scratch;
    const std::string config = write_config(scratch), output = scratch / "out";
    const Launch launch{.ranks = c.ranks > 1 ? c.ranks : 0};
    const Arguments machine = {"--json", "--hardware", write_hardware(scratch, c.ranks)};
    const Json plan = Json::parse(run_well(command("plan", config, c, output) + machine).out);
    run_well(command("train", config, c, output), launch);

    const Json memory = Json::parse(read_text(output + "/manifest.json"))["memory"];
    EXPECT_EQ(plan["ranks"][0]["bytes"], memory["reserved_bytes"]);
    EXPECT_EQ(plan["host_bytes"], memory["host_bytes"]);
    EXPECT_EQ(plan["host_bytes"] > 0, c.name.starts_with("paged"));
    const Json reserved = memory["reserved_bytes_by_rank"];
    ASSERT_EQ(reserved.size(), static_cast<std::size_t>(c.ranks));
    const Json planned_by_rank = bytes_by_rank(plan);
    for (std::size_t r = 0; r < reserved.size(); ++r) EXPECT_EQ(planned_by_rank[r], reserved[r]) << "rank " << r;
    // What a rank uses cannot be more: its arenas refuse. The log has the largest.
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

/// Half of a vocabulary of 150 rows of 32: blocks of 256 would be cut.
TEST(MemoryGridRefusal, ASplitThatCutsBlocksIsRefusedByPlanAndTrainAlike) {
    const Scratch scratch;
    const Case c{"cut", "qwen2_bias", kTensor + kEightBit, 2};
    const std::string config = write_config(scratch), output = scratch / "out";
    const auto plan = run_program(command("plan", config, c, output) + Arguments{"--ranks", "2"}, {.ranks = 2}),
               train = run_program(command("train", config, c, output), {.ranks = 2});
    for (const Finished& run : {plan, train}) {
        EXPECT_EQ(run.code, 2) << run.command << run.err;
        for (const char* word : {"optimizer.name = adamw_8bit", "model.embed_tokens.weight", "parallel.tensor = 1"})
            EXPECT_NE(run.err.find(word), std::string::npos) << word << " in: " << run.err;
    }
    EXPECT_FALSE(std::filesystem::exists(output));
}

INSTANTIATE_TEST_SUITE_P(, MemoryGrid, testing::ValuesIn(grid()), [](const auto& test) { return test.param.name; });

}  // namespace tandem::test
