// A decoder's architecture as data, from Hugging Face's config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "kernels/ops/types.h"
#include "src/model/quantization.h"

namespace tandem {

enum class RopeKind : std::uint8_t { Default, Linear, Llama3, Yarn };

/// Rotary embedding: base frequency and how it is stretched. Names and formulas follow transformers' modeling_rope_utils.
struct RopeConfig {
    RopeKind kind = RopeKind::Default;
    double theta = 10000.0;
    double factor = 1.0;
    double low_frequency_factor = 1.0, high_frequency_factor = 4.0;  ///< llama3
    double original_positions = 0;                                   ///< llama3, yarn: context length before stretching
    double beta_fast = 32.0, beta_slow = 1.0;                        ///< yarn
    double attention_factor = 0.0;                                   ///< yarn: multiplies cos and sin; 0 = 0.1 ln(factor) + 1
    bool truncate = true;                                            ///< yarn: correction range rounded to whole dimensions
    std::int64_t rotated = 0;                                        ///< elements of a head that are rotated
};

struct ModelConfig {
    std::string model_type;  ///< "llama", "mistral", "qwen2", "qwen3"
    std::int64_t hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocabulary = 0, max_positions = 0;
    RmsNorm norm;
    Activation activation = Activation::SiLU;
    bool tied_head = false;
    bool qkv_bias = false, output_bias = false, mlp_bias = false;
    bool qk_norm = false;               ///< RMSNorm of every query and key head before the rotation (Qwen3)
    std::vector<std::int64_t> windows;  ///< sliding window of each layer, 0 = none
    RopeConfig rope;
    double initializer_range = 0.02;
    std::optional<QuantizationSpec> quantization;  ///< of the weights in the model's files
    std::shared_ptr<const nlohmann::json> source;  ///< config.json as read: copied into what a run leaves behind

    [[nodiscard]] std::int64_t query_width() const { return heads * head_dim; }
    [[nodiscard]] std::int64_t kv_width() const { return kv_heads * head_dim; }
    /// Floating-point operations a token costs in training: 6 a trained weight, 4 a frozen one (matrices only).
    [[nodiscard]] std::int64_t matrix_parameters() const;
};

/// Reads DIR/config.json, or what describes a GGUF file, and where it speaks of quantised weights that lie beside it, from their headers
/// how they are. What it asks for and tandem does not have is an Input error that names the file and the key.
ModelConfig load_model_config(const std::filesystem::path& directory);
/// The same from its parsed content; `file` is for messages.
ModelConfig parse_model_config(const nlohmann::json& json, const std::filesystem::path& file);

}  // namespace tandem
