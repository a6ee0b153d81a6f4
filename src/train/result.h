// What a run hands over at its end: a PEFT adapter directory, or a Hugging Face model directory.
#pragma once

#include <filesystem>
#include <string>

#include "src/engine/train_state.h"
#include "src/model/lora.h"

namespace tandem {

/// DIR/adapter_config.json and DIR/adapter_model.safetensors (fp32), complete or not at all. Refuses non-finite values.
void write_adapter(Context&, const TrainState& state, const ParamTable& table, const LoraConfig& lora, const std::string& base,
                   const std::filesystem::path& directory);

/// DIR with the base's config.json (its dtype adjusted), tokenizer files, and the trained weights in `dtype`.
void write_model(Context&, const TrainState& state, const std::filesystem::path& base, DType dtype, const std::filesystem::path& directory);

}  // namespace tandem
