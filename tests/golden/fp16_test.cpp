// `tandem eval --model.dtype fp16` on tiny models of every kind, against transformers in float64 (make_golden.py), and on bases in four-bit
// blocks and GGUF files, against what the program itself gives in fp32.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/figures.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Relative. Eleven bits, through two layers; what bf16's eight cost is ten times as much.
constexpr double kLoss = 1e-4;

struct Layout {
    std::string name;
    int ranks;
    Arguments options;
    friend std::ostream& operator<<(std::ostream& out, const Layout& layout) { return out << layout.name; }
};

const Layout kOne = {"one", 0, {}}, kPipeline = {"pipeline2", 2, {"--parallel.pipeline", "2"}},
             kTensor = {"tensor2", 2, {"--parallel.tensor", "2"}};

const char* const kModels[] = {"llama_gqa",  "llama_tied", "llama3_rope", "mistral_window",
                               "qwen2_bias", "qwen3_norm", "llama2_mha",  "llama_head_dim"};
/// Those whose keys and values have more than one head.
const char* const kDivisible[] = {"llama_gqa", "mistral_window", "qwen2_bias", "qwen3_norm", "llama2_mha"};

fs::path golden() { return source_directory() / "tests/golden"; }

/// The loss of `model` over `data`, in a type.
double loss_of(const fs::path& model, const fs::path& data, const std::string& dtype, const Layout& layout, const Arguments& more) {
    const Scratch output;
    const Arguments words = {"eval",
                             golden() / "golden.ini",
                             "--model.path",
                             model,
                             "--data.validation",
                             data,
                             "--output.dir",
                             output / "eval",
                             "--json",
                             "--device.backend",
                             "cpu",
                             "--model.dtype",
                             dtype};
    const auto run = run_well(words + layout.options + more, {.ranks = layout.ranks});
    return run.code == 0 ? json::parse(run.out).at("eval_loss").get<double>() : 0.0;
}

class Fp16Loss : public testing::TestWithParam<std::tuple<const char*, Layout>> {};

}  // namespace

TEST_P(Fp16Loss, IsThatOfTransformers) {
    const auto& [name, layout] = GetParam();
    const fs::path model = golden() / "models" / name, data = model / "data.jsonl";
    const json want = json::parse(read_text(model / "expected.json"));
    const auto check = [&](const char* key, const Arguments& more) {
        const double got = loss_of(model, data, "fp16", layout, more);
        EXPECT_LE(relative_difference("fp16 loss", got, want.at(key).get<double>()), kLoss) << key;
        return got;
    };
    const double bare = check("eval_loss", {"--method.type", "full"});
    EXPECT_NE(bare, loss_of(model, data, "fp32", layout, {"--method.type", "full"})) << "nothing was computed in fp16";
    check("adapter_eval_loss", {"--lora.adapter", (model / "adapter").string()});
}

using Case = testing::TestParamInfo<std::tuple<const char*, Layout>>;
std::string label(const Case& test) { return std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param).name; }
INSTANTIATE_TEST_SUITE_P(Models, Fp16Loss, testing::Combine(testing::ValuesIn(kModels), testing::Values(kOne, kPipeline)), label);
INSTANTIATE_TEST_SUITE_P(SplitModels, Fp16Loss, testing::Combine(testing::ValuesIn(kDivisible), testing::Values(kTensor)), label);

/// Blocks, as files have them and as they are made on the way in, are dequantised into fp16; a GGUF file's are decoded into it.
TEST(Fp16OfOtherFiles, LossIsThatOfFp32) {
    const fs::path whole = golden() / "models/llama_gqa", stored = golden() / "quantized", text = whole / "data.jsonl";
    const Scratch scratch;
    const fs::path few = scratch.path() / "few.jsonl", blocks = scratch.path() / "blocks";
    std::ofstream(few) << R"({"input_ids": [1, 17, 43, 8, 29, 49, 2]})"
                       << "\n"
                       << R"({"input_ids": [1, 5, 6, 7, 8, 9, 10, 11, 2]})"
                       << "\n";
    run_well({"quantize", whole.string(), blocks.string()});
    struct Source {
        fs::path model, data;
        Arguments options;
        std::vector<Layout> layouts;
    };
    const Arguments full = {"--method.type", "full"}, adapter = {"--lora.adapter", (whole / "adapter").string()};
    const std::vector<Layout> all = {kOne, kPipeline, kTensor};
    const Source sources[] = {
        {whole, text, Arguments{"--method.type", "qlora"} + adapter, all},
        {blocks, text, adapter, all},
        {stored / "nf4_nested", few, full, {kOne}},
        {stored / "fp4", few, full, {kOne}},
        {source_directory() / "tests/io/golden/byte_level.gguf", few, full, {kOne, kPipeline}},
    };
    for (const Source& source : sources) {
        const double want = loss_of(source.model, source.data, "fp32", kOne, source.options);
        for (const Layout& layout : source.layouts) {
            SCOPED_TRACE(source.model.string() + ", " + layout.name);
            const double got = loss_of(source.model, source.data, "fp16", layout, source.options);
            EXPECT_LE(relative_difference("fp16 loss of other files", got, want), 2 * kLoss);
            EXPECT_NE(got, want) << "nothing was computed in fp16";
        }
    }
}

}  // namespace tandem::test
