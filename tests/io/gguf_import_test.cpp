#include "src/io/gguf_import.h"

#include <cmath>
#include <numbers>

#include "src/io/json.h"
#include "src/tokenizer/tokenizer.h"
#include "tests/io/import_case.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
using B = GgufBuilder;

/// Every member of `expected` is in `found` with that value.
void expect_members(const Json& found, const Json& expected) {
    for (const auto& [key, value] : expected.items()) {
        ASSERT_TRUE(found.contains(key)) << key;
        EXPECT_EQ(found[key], value) << key;
    }
}

void expect_equal_tensors(const fs::path& imported, const fs::path& reference, DType stored) {
    const SafetensorsModel a(imported), b(reference);
    ASSERT_EQ(a.tensors().size(), b.tensors().size());
    for (const auto& [name, entry] : b.tensors()) {
        ASSERT_TRUE(a.contains(name)) << name;
        EXPECT_EQ(a.at(name).shape, entry.shape) << name;
        EXPECT_EQ(a.at(name).dtype, stored) << name;
        const auto rows = entry.shape[0];
        std::vector<std::byte> x(a.at(name).bytes), y(a.at(name).bytes);
        a.read(name, 0, x);
        b.read_rows(name, 0, rows, stored, y.data());  // rounds the reference
        EXPECT_EQ(x, y) << name;
    }
}

/// Tensors, configuration and token ids of the files that make_golden.py wrote with gguf and tokenizers.
class ImportedGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(ImportedGolden, EqualsTheReference) {
    const TempDir dir;
    const std::string name = GetParam();
    const auto expected = read_json_file(golden(name + ".expected.json"));
    for (const auto dtype : {DType::F32, DType::BF16, DType::F16}) {
        const auto out = dir / std::string(tandem::name(dtype));
        const auto summary = import_gguf(golden(name + ".gguf"), out, dtype);
        EXPECT_EQ(summary.family, expected["config"]["model_type"]);
        EXPECT_GE(summary.tensors_by_block_type.at("Q4_1"), 2);
        expect_equal_tensors(out, golden(name + ".expected.safetensors"), dtype);
    }
    expect_members(read_json_file(dir / "fp32" / "config.json"), expected["config"]);
    const auto written = read_json_file(dir / "fp32" / "tokenizer.json");
    EXPECT_EQ(written["model"]["merges"], expected["merges"]);
    EXPECT_EQ(written["post_processor"]["single"], expected["template"]);
    const auto tokenizer = Tokenizer::load(dir / "fp32");
    for (std::size_t i = 0; i < expected["texts"].size(); ++i) {
        const auto text = expected["texts"][i].get<std::string>();
        EXPECT_EQ(tokenizer.encode(text, AddSpecial::Yes), expected["ids"][i].get<std::vector<std::int32_t>>()) << i << " '" << text << "'";
    }
}

INSTANTIATE_TEST_SUITE_P(Gguf, ImportedGolden, ::testing::Values("byte_level", "sentencepiece"));

TEST_F(ImportFamily, LlamaUndoesThePermutationOfMatricesAndBiases) {
    auto b = model_header("llama");
    add_layer(b, true);
    b.floats("blk.0.attn_output.bias", {kHidden}, ramp(kHidden, 9)).floats("output.weight", {kVocabulary, kHidden}, ramp(24, 80));
    const auto out = import(b);
    // Rows 0 1 2 3 of the file are rows 0 2 1 3 of the model.
    EXPECT_EQ(values("model.layers.0.self_attn.q_proj.bias"), (std::vector<float>{102.0F, 102.5F, 102.25F, 102.75F}));
    const auto q = values("model.layers.0.self_attn.q_proj.weight");
    EXPECT_EQ(q[4], 4.0F);
    EXPECT_EQ(q[8], 3.0F);
    EXPECT_EQ(values("model.layers.0.self_attn.v_proj.weight"), ramp(16, 22));
    EXPECT_EQ(values("lm_head.weight"), ramp(24, 80));
    expect_members(read_json_file(out / "config.json"),
                   {{"attention_bias", true}, {"tie_word_embeddings", false}, {"rms_norm_eps", 1e-6}, {"rope_scaling", nullptr}});
    EXPECT_FALSE(summary_.tied);
}

TEST_F(ImportFamily, Qwen2AndQwen3KeepTheirRows) {
    auto b = model_header("qwen2");
    add_layer(b, true);
    auto out = import(b, DType::BF16);
    EXPECT_EQ(values("model.layers.0.self_attn.q_proj.weight"), ramp(16, 2));
    EXPECT_EQ(values("model.layers.0.self_attn.q_proj.bias"),
              (std::vector<float>{102.0F, 102.0F, 102.5F, 103.0F}));  // rounded to bf16, ties to even
    expect_members(read_json_file(out / "config.json"),
                   {{"model_type", "qwen2"}, {"use_sliding_window", false}, {"tie_word_embeddings", true}});
    b = model_header("qwen3");
    b.u32("qwen3.attention.key_length", 4).u32("qwen3.attention.value_length", 4);
    add_layer(b, false, true);
    out = import(b);
    EXPECT_EQ(values("model.layers.0.self_attn.k_norm.weight"), ramp(4, 6));
    expect_members(read_json_file(out / "config.json"), {{"model_type", "qwen3"}, {"head_dim", 4}, {"attention_bias", false}});
}

TEST_F(ImportFamily, GemmaTakesTheOneOffItsNorms) {
    auto b = model_header("gemma");
    add_layer(b, false);
    const auto out = import(b);
    EXPECT_EQ(values("model.norm.weight"), ramp(4, 0));
    EXPECT_EQ(values("model.layers.0.input_layernorm.weight"), ramp(4, 4));
    EXPECT_EQ(values("model.embed_tokens.weight"), ramp(24, 0));
    expect_members(read_json_file(out / "config.json"),
                   {{"model_type", "gemma"}, {"hidden_activation", "gelu_pytorch_tanh"}, {"tie_word_embeddings", true}});
}

TEST_F(ImportFamily, TokenizerFiles) {
    auto b = model_header("qwen2");
    add_layer(b, true);
    b.string("tokenizer.chat_template", "{{ x }}").boolean("tokenizer.ggml.add_eos_token", true).u32("tokenizer.ggml.eot_token_id", 2);
    const auto out = import(b);
    const auto tokenizer = read_json_file(out / "tokenizer.json");
    EXPECT_EQ(tokenizer["model"]["vocab"], (Json{{"a", 0}, {"b", 1}, {"ab", 2}, {"<end>", 3}}));  // without the padding
    EXPECT_EQ(tokenizer["model"]["merges"], Json::array({"a b"}));
    EXPECT_EQ(tokenizer["added_tokens"].size(), 1U);
    EXPECT_EQ(tokenizer["post_processor"]["single"][1]["SpecialToken"]["id"], "<end>");
    expect_members(read_json_file(out / "tokenizer_config.json"),
                   {{"chat_template", "{{ x }}"}, {"eos_token", "<end>"}, {"add_eos_token", true}, {"add_bos_token", false}});
    expect_members(read_json_file(out / "generation_config.json"), {{"eos_token_id", {3, 2}}, {"bos_token_id", nullptr}});
    EXPECT_EQ(read_json_file(out / "special_tokens_map.json"), (Json{{"eos_token", "<end>"}}));
    EXPECT_EQ(Tokenizer::load(out).encode("ab<end>", AddSpecial::Yes), (std::vector<std::int32_t>{2, 3, 3}));
}

/// Corners other than Llama 3.1's are found from the divisors.
TEST_F(ImportFamily, Llama3ScalingIsRecoveredFromItsDivisors) {
    B b;
    const std::uint64_t dim = 64;
    b.string("general.architecture", "llama")
        .u32("llama.block_count", 1)
        .u32("llama.context_length", 64)
        .u32("llama.embedding_length", dim);
    b.u32("llama.feed_forward_length", 1).u32("llama.attention.head_count", 1).f32("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    b.f32("llama.rope.freq_base", 10000.0F)
        .string("tokenizer.ggml.model", "gpt2")
        .strings("tokenizer.ggml.tokens", {"a"})
        .strings("tokenizer.ggml.merges", {});
    const auto zeros = [](std::uint64_t n) { return std::vector<float>(n, 0.5F); };
    b.floats("token_embd.weight", {1, dim}, zeros(dim)).floats("output_norm.weight", {dim}, zeros(dim));
    for (const auto* name : {"attn_q", "attn_k", "attn_v", "attn_output"})
        b.floats(std::string("blk.0.") + name + ".weight", {dim, dim}, zeros(dim * dim));
    for (const auto* name : {"ffn_gate", "ffn_up"}) b.floats(std::string("blk.0.") + name + ".weight", {1, dim}, zeros(dim));
    b.floats("blk.0.ffn_down.weight", {dim, 1}, zeros(dim));
    for (const auto* name : {"attn_norm", "ffn_norm"}) b.floats(std::string("blk.0.") + name + ".weight", {dim}, zeros(dim));
    auto odd = b;

    const double factor = 32.0, high = 8.0, original = 2048.0;
    std::vector<float> divisors;
    for (int i = 0; i < 32; ++i) {
        const double wavelength = 2 * std::numbers::pi * std::pow(10000.0, i / 32.0);
        const double smooth = std::clamp((original / wavelength - 1.0) / (high - 1.0), 0.0, 1.0);
        divisors.push_back(static_cast<float>(1.0 / ((1.0 - smooth) / factor + smooth)));
    }
    b.floats("rope_freqs.weight", {32}, divisors);
    expect_members(read_json_file(import(b) / "config.json")["rope_scaling"], {{"rope_type", "llama3"},
                                                                               {"factor", 32.0},
                                                                               {"low_freq_factor", 1.0},
                                                                               {"high_freq_factor", 8.0},
                                                                               {"original_max_position_embeddings", 2048}});
    odd.floats("rope_freqs.weight", {32}, ramp(32, 1));
    refused(odd, {"rope_freqs.weight", "llama3"});
}

}  // namespace
}  // namespace tandem
