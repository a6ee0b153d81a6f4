// Tiny models of every family as GGUF files, and their import.
#pragma once

#include <algorithm>

#include "src/io/gguf_import.h"
#include "src/io/safetensors.h"
#include "tests/io/gguf_builder.h"
#include "tests/io/temp_dir.h"

namespace tandem {

inline std::vector<float> ramp(std::size_t n, float start) {
    std::vector<float> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = start + static_cast<float>(i) * 0.25F;
    return x;
}

inline constexpr std::uint64_t kHidden = 4, kVocabulary = 6, kIntermediate = 3;

inline GgufBuilder model_header(const std::string& arch) {
    GgufBuilder b;
    b.string("general.architecture", arch)
        .u32(arch + ".block_count", 1)
        .u32(arch + ".context_length", 64)
        .u32(arch + ".embedding_length", kHidden);
    b.u32(arch + ".feed_forward_length", kIntermediate)
        .u32(arch + ".attention.head_count", 1)
        .f32(arch + ".attention.layer_norm_rms_epsilon", 1e-6F);
    b.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "gpt-2");
    b.strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<end>", "[PAD4]"}).strings("tokenizer.ggml.merges", {"a b"});
    b.list<std::int32_t>("tokenizer.ggml.token_type", GgufBuilder::I32, {1, 1, 1, 3, 5}).u32("tokenizer.ggml.eos_token_id", 3);
    return b;
}

/// One layer with one head of four elements; `bias` adds those of q, k, v.
inline void add_layer(GgufBuilder& b, bool bias, bool norms_of_heads = false) {
    b.floats("token_embd.weight", {kVocabulary, kHidden}, ramp(kVocabulary * kHidden, 0));
    b.floats("output_norm.weight", {kHidden}, ramp(kHidden, 1));
    float start = 2;
    for (const auto* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
        b.floats(std::string("blk.0.") + name + ".weight", {kHidden, kHidden}, ramp(kHidden * kHidden, start));
        if (bias && name != std::string("attn_output"))
            b.floats(std::string("blk.0.") + name + ".bias", {kHidden}, ramp(kHidden, start + 100));
        start += 10;
    }
    for (const auto* name : {"ffn_gate", "ffn_up"})
        b.floats(std::string("blk.0.") + name + ".weight", {kIntermediate, kHidden}, ramp(12, 60));
    b.floats("blk.0.ffn_down.weight", {kHidden, kIntermediate}, ramp(12, 70));
    for (const auto* name : {"attn_norm", "ffn_norm"}) b.floats(std::string("blk.0.") + name + ".weight", {kHidden}, ramp(kHidden, 5));
    if (!norms_of_heads) return;
    for (const auto* name : {"attn_q_norm", "attn_k_norm"}) b.floats(std::string("blk.0.") + name + ".weight", {kHidden}, ramp(kHidden, 6));
}

class ImportFamily : public ::testing::Test {
protected:
    std::filesystem::path import(const GgufBuilder& b, DType dtype = DType::F32) {
        put(dir_ / "x.gguf", b.bytes());
        std::filesystem::remove_all(dir_ / "out");
        summary_ = import_gguf(dir_ / "x.gguf", dir_ / "out", dtype);
        return dir_ / "out";
    }
    std::vector<float> values(const std::string& tensor) {
        const SafetensorsModel model(dir_ / "out");
        std::vector<float> x(static_cast<std::size_t>(model.at(tensor).shape.elements()));
        model.read_rows(tensor, 0, model.at(tensor).shape[0], DType::F32, x.data());
        return x;
    }
    void refused(const GgufBuilder& b, const std::vector<std::string>& parts, Failure failure = Failure::Input) {
        put(dir_ / "x.gguf", b.bytes());
        std::filesystem::remove_all(dir_ / "out");
        expect_error(failure, parts, [&] { (void)import_gguf(dir_ / "x.gguf", dir_ / "out", DType::BF16); });
        EXPECT_EQ(dir_.entries(), 1U) << "something was left behind";
    }
    TempDir dir_;
    ImportSummary summary_;
};

}  // namespace tandem
