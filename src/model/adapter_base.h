// The base that an adapter was trained over, where it was in four-bit blocks. It is written beside the factors, so that it goes where they
// go; peft ignores it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "src/io/json.h"
#include "src/model/model_config.h"
#include "src/model/quantization.h"

namespace tandem {

/// In the metadata of adapter_model.safetensors: its value is quantization_json() in one line.
inline constexpr const char* kAdapterBaseKey = "base_quantization";

/// type, block_size, double_quant, skip_modules.
[[nodiscard]] Json quantization_json(const QuantizationSpec& spec);
/// The text under the key. Of skip_modules what names a linear layer of the model.
[[nodiscard]] std::string adapter_base_text(const QuantizationSpec& spec, const ModelConfig& model);

/// What the factors in `adapter` say of their base; nothing where it was in full precision, or another program wrote them. Input errors
/// name the file and the key.
[[nodiscard]] std::optional<QuantizationSpec> recorded_base(const std::filesystem::path& adapter);

/// Whether a model's linear layers are in the same blocks under both.
[[nodiscard]] bool same_blocks(const ModelConfig& model, const QuantizationSpec& a, const QuantizationSpec& b);

}  // namespace tandem
