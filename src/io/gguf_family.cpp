#include "src/io/gguf_family.h"

#include <algorithm>
#include <set>

#include "kernels/base/error.h"

namespace tandem::io_detail {

namespace {

// mistral has no architecture of its own in GGUF; it is told from llama by its name.
constexpr Family kFamilies[] = {
    {.architecture = "llama", .model_type = "llama", .model_class = "LlamaForCausalLM", .activation = "silu", .qk = Undo::Permutation},
    {.architecture = "qwen2", .model_type = "qwen2", .model_class = "Qwen2ForCausalLM", .activation = "silu", .qkv_bias = true},
    {.architecture = "qwen3", .model_type = "qwen3", .model_class = "Qwen3ForCausalLM", .activation = "silu", .qk_norm = true},
    {.architecture = "phi3", .model_type = "phi3", .model_class = "Phi3ForCausalLM", .activation = "silu", .fused = true},
    {.architecture = "gemma",
     .model_type = "gemma",
     .model_class = "GemmaForCausalLM",
     .activation = "gelu_pytorch_tanh",
     .norms = Undo::NormOffset,
     .always_tied = true},
    {.architecture = "gemma2",
     .model_type = "gemma2",
     .model_class = "Gemma2ForCausalLM",
     .activation = "gelu_pytorch_tanh",
     .norms = Undo::NormOffset,
     .post_norms = true,
     .always_tied = true},
};

Family find_family(const GgufFile& file) {
    const auto architecture = file.text("general.architecture");
    if (!architecture) fail(Failure::Input, "{}: metadata key 'general.architecture' is missing", file.path().string());
    std::string known;
    for (const auto& family : kFamilies) {
        known += (known.empty() ? "" : ", ") + std::string(family.architecture);
        if (family.architecture != *architecture) continue;
        auto found = family;
        auto name = file.text("general.name").value_or("");
        std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        if (*architecture == "llama" && name.find("mistral") != std::string::npos && file.find_tensor("blk.0.attn_q.bias") == nullptr) {
            found.model_type = "mistral";
            found.model_class = "MistralForCausalLM";
        }
        return found;
    }
    fail(Failure::Input, "{}: general.architecture is '{}'; the families that can be imported are {}", file.path().string(), *architecture,
         known);
}

std::int64_t positive(const GgufFile& file, std::string_view suffix, std::optional<std::int64_t> otherwise = {}) {
    const auto key = family_key(file, suffix);
    const auto value = file.find(key) != nullptr ? file.integer(key) : otherwise;
    if (!value) fail(Failure::Input, "{}: metadata key '{}' is missing", file.path().string(), key);
    if (*value < 1 || *value > (std::int64_t{1} << 31))
        fail(Failure::Input, "{}: metadata key '{}' is {}", file.path().string(), key, *value);
    return *value;
}

void refuse_unknown_features(const GgufFile& file) {
    const auto name = file.path().string();
    if (file.integer(family_key(file, "expert_count")).value_or(0) > 0) {
        fail(Failure::Input, "{}: a mixture of experts ({} is not 0), which is not supported", name, family_key(file, "expert_count"));
    }
    if (file.integer("split.count").value_or(1) > 1) {
        fail(Failure::Input, "{}: one of {} parts of a split model; join them first with `llama-gguf-split --merge`", name,
             *file.integer("split.count"));
    }
}

Dimensions read_dimensions(const GgufFile& file, const Family& family) {
    const auto name = file.path().string();
    Dimensions d{};
    d.layers = positive(file, "block_count");
    d.hidden = positive(file, "embedding_length");
    d.intermediate = positive(file, "feed_forward_length");
    d.heads = positive(file, "attention.head_count");
    d.kv_heads = positive(file, "attention.head_count_kv", d.heads);
    d.positions = positive(file, "context_length");
    if (d.layers > 10000 || d.heads > (1 << 20) || d.heads % d.kv_heads != 0) {
        fail(Failure::Input, "{}: {} layers, {} heads and {} key/value heads do not make a model", name, d.layers, d.heads, d.kv_heads);
    }
    // For llama, rope.dimension_count is the head's size; phi3 may rotate a part of the head only.
    const auto by_division = d.hidden / d.heads;
    const auto fallback = family.architecture == "llama" ? positive(file, "rope.dimension_count", by_division) : by_division;
    d.head_dim = positive(file, "attention.key_length", fallback);
    if (positive(file, "attention.value_length", d.head_dim) != d.head_dim) {
        fail(Failure::Input, "{}: keys and values of different size are not supported", name);
    }
    if (family.qk == Undo::Permutation && d.head_dim % 2 != 0)
        fail(Failure::Input, "{}: heads of {} elements cannot be rotated", name, d.head_dim);
    const auto eps = file.number(family_key(file, "attention.layer_norm_rms_epsilon"));
    if (!eps) fail(Failure::Input, "{}: metadata key '{}' is missing", name, family_key(file, "attention.layer_norm_rms_epsilon"));
    d.norm_eps = *eps;
    d.rope_theta = file.number(family_key(file, "rope.freq_base")).value_or(10000.0);
    const auto* embedding = file.find_tensor("token_embd.weight");
    if (embedding == nullptr || embedding->shape.dims() != 2)
        fail(Failure::Input, "{}: tensor 'token_embd.weight' is missing or not a matrix", name);
    d.vocabulary = embedding->shape[0];
    d.tied = family.always_tied || file.find_tensor("output.weight") == nullptr;
    d.attention_bias = family.qkv_bias || file.find_tensor("blk.0.attn_q.bias") != nullptr;
    return d;
}

/// The tensors of a family, in the order in which transformers' state_dict has them.
class TensorList {
public:
    TensorList(const Family& family, const Dimensions& dims) : f_(family), d_(dims) {
        add("token_embd.weight", "model.embed_tokens.weight", {d_.vocabulary, d_.hidden});
        for (std::int64_t i = 0; i < d_.layers; ++i) add_layer(fmt::format("blk.{}.", i), fmt::format("model.layers.{}.", i));
        add_norm("output_norm.weight", "model.norm.weight", d_.hidden);
        if (!d_.tied) add("output.weight", "lm_head.weight", {d_.vocabulary, d_.hidden});
    }
    std::vector<ImportTensor> take() { return std::move(list_); }

private:
    void add(const std::string& gguf, const std::string& hf, Shape shape, Undo undo = Undo::Nothing) {
        list_.push_back({gguf, hf, shape, undo, undo == Undo::Permutation ? d_.head_dim : 0});
    }
    void add_norm(const std::string& gguf, const std::string& hf, std::int64_t size) { add(gguf, hf, {size}, f_.norms); }
    void add_projection(const std::string& gguf, const std::string& hf, std::int64_t out, std::int64_t in, bool bias,
                        Undo undo = Undo::Nothing) {
        add(gguf + ".weight", hf + ".weight", {out, in}, undo);
        if (bias) add(gguf + ".bias", hf + ".bias", {out}, undo);
    }

    void add_layer(const std::string& blk, const std::string& layer) {
        const auto q = d_.heads * d_.head_dim, kv = d_.kv_heads * d_.head_dim;
        const auto attention = layer + "self_attn.";
        if (f_.fused) {
            add_projection(blk + "attn_qkv", attention + "qkv_proj", q + 2 * kv, d_.hidden, false);
        } else {
            add_projection(blk + "attn_q", attention + "q_proj", q, d_.hidden, d_.attention_bias, f_.qk);
            add_projection(blk + "attn_k", attention + "k_proj", kv, d_.hidden, d_.attention_bias, f_.qk);
            add_projection(blk + "attn_v", attention + "v_proj", kv, d_.hidden, d_.attention_bias);
        }
        // qwen2 has no bias here; llama's attention_bias means all four.
        add_projection(blk + "attn_output", attention + "o_proj", d_.hidden, q, d_.attention_bias && !f_.qkv_bias);
        if (f_.qk_norm) {
            add_norm(blk + "attn_q_norm.weight", attention + "q_norm.weight", d_.head_dim);
            add_norm(blk + "attn_k_norm.weight", attention + "k_norm.weight", d_.head_dim);
        }
        if (f_.fused) {
            add_projection(blk + "ffn_up", layer + "mlp.gate_up_proj", 2 * d_.intermediate, d_.hidden, false);
        } else {
            add_projection(blk + "ffn_gate", layer + "mlp.gate_proj", d_.intermediate, d_.hidden, false);
            add_projection(blk + "ffn_up", layer + "mlp.up_proj", d_.intermediate, d_.hidden, false);
        }
        add_projection(blk + "ffn_down", layer + "mlp.down_proj", d_.hidden, d_.intermediate, false);
        add_norm(blk + "attn_norm.weight", layer + "input_layernorm.weight", d_.hidden);
        if (f_.post_norms) {
            add_norm(blk + "post_attention_norm.weight", layer + "post_attention_layernorm.weight", d_.hidden);
            add_norm(blk + "ffn_norm.weight", layer + "pre_feedforward_layernorm.weight", d_.hidden);
            add_norm(blk + "post_ffw_norm.weight", layer + "post_feedforward_layernorm.weight", d_.hidden);
        } else {
            add_norm(blk + "ffn_norm.weight", layer + "post_attention_layernorm.weight", d_.hidden);
        }
    }

    const Family& f_;
    const Dimensions& d_;
    std::vector<ImportTensor> list_;
};

/// Every expected tensor is there in its shape and decodable, and there is no other.
void check_tensors(const GgufFile& file, const ImportPlan& plan) {
    const auto name = file.path().string();
    // They become rope_scaling; the head of an always tied family is the embedding.
    std::set<std::string_view> expected = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"};
    if (plan.family.always_tied) expected.insert("output.weight");
    for (const auto& wanted : plan.tensors) {
        expected.insert(wanted.gguf);
        const auto* found = file.find_tensor(wanted.gguf);
        if (found == nullptr)
            fail(Failure::Input, "{}: tensor '{}' of the family {} is missing", name, wanted.gguf, plan.family.model_type);
        if (found->shape != wanted.shape) {
            fail(Failure::Input, "{}: tensor '{}' has shape {}, but the metadata give {}", name, wanted.gguf, found->shape.str(),
                 wanted.shape.str());
        }
        const auto& block = ggml_block(found->type);
        if (!block.decodable) {
            fail(Failure::Input, "{}: tensor '{}' is stored as {}, which cannot be decoded; take a file with these types: {}", name,
                 wanted.gguf, block.name, decodable_ggml_types());
        }
    }
    for (const auto& t : file.tensors()) {
        if (!expected.contains(t.name))
            fail(Failure::Input, "{}: tensor '{}' has no place in the family {}", name, t.name, plan.family.model_type);
    }
}

}  // namespace

std::string family_key(const GgufFile& file, std::string_view suffix) {
    return fmt::format("{}.{}", file.text("general.architecture").value_or(""), suffix);
}

ImportPlan plan_import(const GgufFile& file) {
    ImportPlan plan{};
    plan.family = find_family(file);
    refuse_unknown_features(file);
    plan.dims = read_dimensions(file, plan.family);
    plan.tensors = TensorList(plan.family, plan.dims).take();
    check_tensors(file, plan);
    return plan;
}

}  // namespace tandem::io_detail
