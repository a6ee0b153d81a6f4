// config.json's `quantization_config`: what transformers' BitsAndBytesConfig says of a model's files.
#pragma once

#include <filesystem>
#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "src/model/model_config.h"

namespace tandem {

/// What `config` (of `file`) says; nothing where the model is not quantised. The block size stands in the tensors' files alone and is
/// bitsandbytes' default here. Input errors that name file and key: anything but bitsandbytes in four bits.
[[nodiscard]] std::optional<QuantizationSpec> parse_quantization_config(const nlohmann::json& config, const std::filesystem::path& file);
/// The object itself, with every key that transformers 5 writes. `compute`: the type in which it multiplies.
[[nodiscard]] nlohmann::json quantization_config_json(const QuantizationSpec& spec, DType compute, const ModelConfig& model);

/// Type, block size and double quantisation as the files of `directory` have them, and as skipped the linear layers that they have
/// dense. Input errors: files without four-bit matrices, or with several kinds of them. Without any weights there: `model`'s own.
[[nodiscard]] QuantizationSpec stored_quantization(const ModelConfig& model, const std::filesystem::path& directory);

}  // namespace tandem
