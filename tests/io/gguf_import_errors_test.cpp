#include <cmath>
#include <random>

#include "src/io/json.h"
#include "tests/io/import_case.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
using B = GgufBuilder;

TEST_F(ImportFamily, RefusesWhatItCannotRepresent) {
    const auto llama = [](auto change) {
        auto b = model_header("llama");
        add_layer(b, false);
        change(b);
        return b;
    };
    refused(model_header("mamba"), {"general.architecture", "'mamba'", "qwen2"});
    refused(B().string("x", "y"), {"'general.architecture' is missing"});
    refused(llama([](B& b) { b.u32("llama.expert_count", 8); }), {"llama.expert_count"});
    refused(llama([](B& b) { b.key("split.count", B::U16, B::raw(std::uint16_t{3})); }), {"one of 3 parts", "llama-gguf-split"});
    refused(llama([](B& b) { b.floats("blk.0.strange", {1}, {1}); }), {"'blk.0.strange'", "no place"});
    refused(llama([](B& b) { b.floats("blk.0.attn_q.bias", {4}, ramp(4, 0)); }), {"'blk.0.attn_k.bias'", "missing"});
    refused(llama([](B& b) { b.string("llama.rope.scaling.type", "magic"); }), {"llama.rope.scaling.type", "'magic'"});
    refused(llama([](B& b) { b.u32("llama.attention.value_length", 2); }), {"keys and values"});
    refused(llama([](B& b) { b.u32("tokenizer.ggml.bos_token_id", 77); }), {"bos_token_id", "77"});
    refused(llama([](B& b) { b.boolean("tokenizer.ggml.add_bos_token", true); }), {"bos_token_id", "missing"});
    refused(llama([](B& b) { b.list<float>("tokenizer.ggml.scores", B::F32, {1.0F}); }), {"scores", "1 entries for 5 tokens"});
    auto b = model_header("llama");
    b.floats("token_embd.weight", {kVocabulary, kHidden}, ramp(24, 0));
    refused(b, {"'blk.0.attn_q.weight'", "missing"});
    b = model_header("llama");
    refused(b, {"token_embd.weight"});
    b = model_header("llama");
    b.floats("token_embd.weight", {3, kHidden}, ramp(12, 0));
    refused(b, {"blk.0.attn_q.weight"});
    b = model_header("qwen2");
    b.floats("token_embd.weight", {kVocabulary, kHidden}, ramp(24, 0)).floats("blk.0.attn_q.weight", {kHidden, 3}, ramp(12, 0));
    refused(b, {"'blk.0.attn_q.weight'", "[4, 3]", "metadata"});
}

TEST_F(ImportFamily, RefusesValuesAndTokenizersThatAreWrong) {
    const auto model = [](const std::string& tokenizer, const std::string& pre, const std::vector<std::string>& merges, float value) {
        B b;
        b.string("general.architecture", "llama")
            .u32("llama.block_count", 1)
            .u32("llama.context_length", 64)
            .u32("llama.embedding_length", kHidden);
        b.u32("llama.feed_forward_length", kIntermediate)
            .u32("llama.attention.head_count", 1)
            .f32("llama.attention.layer_norm_rms_epsilon", 1e-6F);
        b.string("tokenizer.ggml.model", tokenizer).string("tokenizer.ggml.pre", pre).strings("tokenizer.ggml.tokens", {"a", "b", "ab"});
        b.strings("tokenizer.ggml.merges", merges);
        add_layer(b, false);
        b.floats("output.weight", {kVocabulary, kHidden}, std::vector<float>(24, value));
        return b;
    };
    refused(model("gpt2", "martian", {}, 1), {"tokenizer.ggml.pre", "'martian'", "llama-bpe", "qwen2", "tekken"});
    refused(model("bert", "gpt-2", {}, 1), {"tokenizer.ggml.model", "'bert'", "gpt2"});
    refused(model("gpt2", "gpt-2", {"a b", "a"}, 1), {"merges[1]", "not a pair"});
    refused(model("gpt2", "gpt-2", {"b a"}, 1), {"merges[0]", "'ba' is not a token"});
    refused(model("gpt2", "gpt-2", {}, std::nanf("")), {"output.weight", "non-finite", "index 0"});
    put(dir_ / "x.gguf", model("gpt2", "gpt-2", {}, 1e6F).bytes());
    expect_error(Failure::Input, {"output.weight", "fp16", "--dtype bf16"},
                 [&] { (void)import_gguf(dir_ / "x.gguf", dir_ / "out", DType::F16); });
    EXPECT_EQ(dir_.entries(), 1U);
}

/// Whatever is flipped in the metadata, the file is imported or refused, and then nothing is left.
TEST_F(ImportFamily, RandomDamageNeverCrashes) {
    const auto whole = slurp(golden("sentencepiece.gguf"));
    std::mt19937 random(3);
    for (int i = 0; i < 30; ++i) {
        auto bytes = whole;
        for (int flips = 1 + i % 4; flips > 0; --flips) bytes[random() % 8800] = static_cast<char>(random());
        put(dir_ / "x.gguf", bytes);
        fs::remove_all(dir_ / "out");
        try {
            (void)import_gguf(dir_ / "x.gguf", dir_ / "out", DType::BF16);
            (void)read_json_file(dir_ / "out" / "tokenizer.json");
        } catch (const Error& e) {
            EXPECT_EQ(e.failure(), Failure::Input) << e.what();
            EXPECT_EQ(dir_.entries(), 1U);
        }
    }
}

TEST_F(ImportFamily, ExistingDirectories) {
    auto b = model_header("qwen2");
    add_layer(b, true);
    fs::create_directory(dir_ / "empty");
    put(dir_ / "x.gguf", b.bytes());
    (void)import_gguf(dir_ / "x.gguf", dir_ / "empty", DType::BF16);
    EXPECT_TRUE(fs::exists(dir_.path() / "empty" / "model.safetensors"));
    expect_error(Failure::Configuration, {"empty", "not empty", "remove it"},
                 [&] { (void)import_gguf(dir_ / "x.gguf", dir_ / "empty", DType::BF16); });
    expect_error(Failure::Configuration, {"x.gguf", "not a directory"},
                 [&] { (void)import_gguf(dir_ / "x.gguf", dir_ / "x.gguf", DType::BF16); });
    expect_error(Failure::Configuration, {"No such file"},
                 [&] { (void)import_gguf(dir_ / "x.gguf", dir_.path() / "no" / "out", DType::BF16); });
    EXPECT_EQ(dir_.entries(), 2U);
}

}  // namespace
}  // namespace tandem
