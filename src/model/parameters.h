// The parameters of a model, listed once, in the order of the forward pass.
#pragma once

#include <string>
#include <vector>

#include "parallel/param_table.h"
#include "src/model/lora.h"
#include "src/model/model_config.h"

namespace tandem {

/// What is trained.
enum class Trained : std::uint8_t {
    Nothing,    ///< evaluation, generation
    Adapter,    ///< LoRA factors, the base is frozen
    Everything  ///< full fine-tuning
};

/// Canonical names, global shapes and buckets (0 = embedding, 1 + l = layer l, layers + 1 = final norm and head) of every
/// parameter, with LoRA factors after the weight they adapt. Tensors are not set. A target module of `lora` that matches
/// no linear layer is a Configuration error that lists those there are. `lora` may be null.
ParamTable list_parameters(const ModelConfig& model, Trained trained, const LoraConfig* lora);

/// What a linear layer is called and between which widths it maps.
struct LinearShape {
    std::string path;
    std::int64_t out, in;
    bool bias;
};
/// The linear layers of decoder layer `layer`: q, k, v, o, gate, up, down.
std::vector<LinearShape> linear_layers(const ModelConfig& model, std::int64_t layer);

/// Index of the parameter called `name`; -1 if there is none.
std::int64_t find_parameter(const ParamTable& table, const std::string& name);

/// Names of the modules that got factors, as PEFT lists them ("q_proj", ...), sorted.
std::vector<std::string> adapted_modules(const ParamTable& table);

}  // namespace tandem
