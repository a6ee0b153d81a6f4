// GGUF -> Hugging Face directory: what llama.cpp's converter did to a model is undone, so that transformers, and tandem's own
// loader, read the result as if it had never been converted (but for the rounding of its blocks).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "kernels/base/dtype.h"

namespace tandem {

struct ImportSummary {
    std::string family;  ///< config.json's model_type
    std::int64_t tensors = 0, parameters = 0;
    bool tied = false;
    std::map<std::string, std::int64_t> tensors_by_block_type;
    std::uint64_t bytes_written = 0;
    std::vector<std::string> files;
    std::vector<std::string> warnings;
};

/// Writes config.json, generation_config.json, model.safetensors, tokenizer.json, tokenizer_config.json and
/// special_tokens_map.json; weights as `dtype` (BF16, F16 or F32). Tensors are streamed in pieces of a few MiB. `directory` appears
/// complete or not at all; it must not exist or be empty (Configuration otherwise).
/// Families: llama, mistral, qwen2, qwen3, phi3, gemma, gemma2; others are Input, as are unknown tokenizers and damaged files.
ImportSummary import_gguf(const std::filesystem::path& file, const std::filesystem::path& directory, DType dtype);

}  // namespace tandem
