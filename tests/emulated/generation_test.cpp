// Text and evaluation on the emulated GPU: what the cpu backend gives, in the memory that was planned.
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "tests/support/figures.h"
#include "tests/support/text_model.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Layout {
    std::string name;
    int ranks;
    Arguments options;
    friend std::ostream& operator<<(std::ostream& out, const Layout& layout) { return out << layout.name; }
};
const Layout kOne = {"one", 0, {}};
const Layout kLayouts[] = {kOne, {"pipeline2", 2, {"--parallel.pipeline", "2"}}, {"tensor2", 2, {"--parallel.tensor", "2"}}};

/// A model, an adapter of it, and the model in four-bit blocks.
class EmulatedText : public testing::TestWithParam<Layout> {
protected:
    static void SetUpTestSuite() {
        model_ = std::make_unique<TextModel>();
        run_well(model_->words("train") + Arguments{"--method.type", "lora", "--training.max_steps", "3", "--optimizer.learning_rate",
                                                    "0.05", "--model.dtype", "fp32", "--output.dir", *model_ / "lora"});
        run_well({"quantize", model_->directory().string(), *model_ / "blocks"});
    }
    static void TearDownTestSuite() { model_.reset(); }

    static Finished generate(const Arguments& options, const std::string& backend, const Layout& layout = kOne) {
        const Arguments words = {"generate", "--device.backend", backend};
        return run_program(words + options + layout.options, {.ranks = layout.ranks, .program = backend == "cuda" ? TANDEM_EMULATED : ""});
    }
    static std::string text(const Arguments& options, const std::string& backend, const Layout& layout = kOne) {
        const Finished run = generate(options, backend, layout);
        EXPECT_EQ(run.code, 0) << run.command << "\n" << run.out << run.err;
        return run.out;
    }
    static double loss(const std::string& dtype, const std::string& backend, const Layout& layout) {
        const Arguments words = model_->words("eval") + Arguments{"--method.type", "full", "--json", "--output.dir", *model_ / "eval"};
        const auto run = run_well(words + Arguments{"--model.dtype", dtype, "--device.backend", backend} + layout.options,
                                  {.ranks = layout.ranks, .program = backend == "cuda" ? TANDEM_EMULATED : ""});
        return run.code == 0 ? json::parse(run.out).at("eval_loss").get<double>() : 0.0;
    }

    static Arguments prompt(const std::string& text, const char* tokens = "12") { return {"--prompt", text, "--max-new-tokens", tokens}; }
    static Arguments plain() { return {"--model", model_->directory().string()}; }
    static Arguments adapted() { return plain() + Arguments{"--adapter", *model_ / "lora/adapter"}; }
    static Arguments blocks() { return {"--model", *model_ / "blocks"}; }

    static inline std::unique_ptr<TextModel> model_;
};

const Arguments kFp32 = {"--model.dtype", "fp32"};

}  // namespace

TEST_P(EmulatedText, IsTheTextOfTheCpu) {
    const Arguments rank = prompt("A rank "), adapter = {"--adapter", *model_ / "lora/adapter"};
    std::vector<Arguments> all = {plain() + rank, adapted() + rank, blocks() + rank + adapter};
    if (GetParam().ranks == 0) {
        for (const char* other : {"x", "The quick brown fox jumps over the lazy dog, again and again."})
            all.push_back(plain() + prompt(other));
        all.push_back(blocks() + rank);
        all.push_back(plain() + rank + Arguments{"--quantization.type", "fp4", "--quantization.block_size", "32"});
        all.push_back(plain() + rank + Arguments{"--temperature", "0.9", "--top-p", "0.95", "--seed", "7"});
    }
    std::set<std::string> texts;
    for (const Arguments& options : all) {
        const std::string want = text(options + kFp32, "cpu");
        EXPECT_EQ(text(options + kFp32, "cuda", GetParam()), want);
        texts.insert(want);
    }
    EXPECT_EQ(texts.size(), all.size()) << "texts that every mistake would give";
}

/// 16-bit types: as near to the cpu backend as roundings at other places let it be.
TEST_P(EmulatedText, LossesAreThoseOfTheCpu) {
    const double fp32 = loss("fp32", "cpu", kOne), fp16 = loss("fp16", "cpu", kOne);
    EXPECT_LE(relative_difference("fp16 loss", loss("fp16", "cuda", GetParam()), fp16), 1e-4);
    EXPECT_GT(std::abs(fp16 / fp32 - 1), 1e-6) << "nothing was computed in fp16";
    if (GetParam().ranks > 0) return;
    EXPECT_LE(relative_difference("fp32 loss", loss("fp32", "cuda", kOne), fp32), 1e-6);
    EXPECT_LE(relative_difference("bf16 loss", loss("bf16", "cuda", kOne), loss("bf16", "cpu", kOne)), 1e-3);
    EXPECT_NE(text(adapted() + prompt("A") + Arguments{"--model.dtype", "fp16"}, "cuda"), "");
}

/// As tests/golden/fp16_test.cpp on the cpu: references in float64 of transformers.
TEST_P(EmulatedText, Fp16LossesAreThoseOfTransformers) {
    const fs::path golden = source_directory() / "tests/golden";
    for (const char* name : {"llama_gqa", "qwen3_norm"}) {
        if (GetParam().ranks > 0 && name != std::string("llama_gqa")) continue;
        const fs::path model = golden / "models" / name;
        const Arguments words = {"eval",
                                 (golden / "golden.ini").string(),
                                 "--model.path",
                                 model.string(),
                                 "--data.validation",
                                 (model / "data.jsonl").string(),
                                 "--output.dir",
                                 *model_ / "golden",
                                 "--lora.adapter",
                                 (model / "adapter").string(),
                                 "--model.dtype",
                                 "fp16",
                                 "--device.backend",
                                 "cuda",
                                 "--training.micro_batch_size",
                                 "4",
                                 "--json"};
        const Finished run = run_well(words + GetParam().options, {.ranks = GetParam().ranks, .program = TANDEM_EMULATED});
        if (run.code != 0) continue;
        const double want = json::parse(read_text(model / "expected.json")).at("adapter_eval_loss");
        EXPECT_LE(relative_difference("fp16 loss, transformers", json::parse(run.out).at("eval_loss"), want), 1e-4) << name;
    }
}

INSTANTIATE_TEST_SUITE_P(, EmulatedText, testing::ValuesIn(kLayouts), [](const auto& test) { return test.param.name; });

class EmulatedLongText : public EmulatedText {};

/// Read in two parts, the second with keys and values of the first.
TEST_F(EmulatedLongText, OfALongPromptIsTheTextOfTheCpu) {
    std::string lines;
    for (int i = 0; lines.size() < 520; ++i) lines += "line " + std::to_string(i * i) + "; ";
    const Arguments options = plain() + kFp32 + prompt(lines, "3");
    EXPECT_EQ(text(options, "cuda"), text(options, "cpu"));
}

class EmulatedMemory : public EmulatedText {};

/// Less than what is planned is refused before anything is loaded; what is planned is enough, to the byte.
TEST_F(EmulatedMemory, IsWhatWasPlanned) {
    for (const Layout& layout : kLayouts) {
        SCOPED_TRACE(layout.name);
        for (const Arguments& of : {plain(), adapted(), blocks()}) {
            const Arguments options = of + kFp32 + prompt("A rank ");
            const Finished refused = generate(options + Arguments{"--device.memory_limit", "4096"}, "cuda", layout);
            EXPECT_EQ(refused.code, 4) << refused.command << "\n" << refused.out << refused.err;
            const std::string before = "generates up to 19 tokens in all needs ";
            const auto at = refused.err.find(before);
            ASSERT_NE(at, std::string::npos) << refused.err;
            EXPECT_NE(refused.err.find("device.memory_limit"), std::string::npos) << refused.err;
            EXPECT_NE(refused.err.find("--max-new-tokens"), std::string::npos) << refused.err;
            if (layout.ranks > 0) continue;  // whose stages need different amounts
            const std::size_t need = std::stoull(refused.err.substr(at + before.size()));
            EXPECT_EQ(generate(options + Arguments{"--device.memory_limit", std::to_string(need - 1)}, "cuda").code, 4);
            EXPECT_EQ(generate(options + Arguments{"--device.memory_limit", std::to_string(need)}, "cuda").out, text(options, "cpu"));
        }
    }
}

/// The same limit on the host, where pages come as they are written.
TEST_F(EmulatedMemory, HoldsOnTheCpu) {
    const Arguments options = plain() + kFp32 + prompt("A rank ");
    const Finished refused = generate(options + Arguments{"--device.memory_limit", "100kB"}, "cpu");
    EXPECT_EQ(refused.code, 4) << refused.err;
    EXPECT_EQ(text(options + Arguments{"--device.memory_limit", "100MiB"}, "cpu"), text(options, "cpu"));
}

}  // namespace tandem::test
