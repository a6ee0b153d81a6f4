// The parameters of a model, listed once, in the order of the forward pass.
#pragma once

#include <string>
#include <vector>

#include "parallel/param_table.h"
#include "src/model/lora.h"
#include "src/model/model_config.h"
#include "src/model/placement.h"
#include "src/model/quantization.h"

namespace tandem {

/// What is trained.
enum class Trained : std::uint8_t {
    Nothing,    ///< evaluation, generation
    Adapter,    ///< LoRA factors, the base is frozen
    Everything  ///< full fine-tuning
};

/// The parameters of the units of `placement`: canonical names, global shapes, what this rank holds of them, buckets (0 = embedding,
/// 1 + l = layer l, layers + 1 = final norm and head) and who adds up what, with LoRA factors after the weight they adapt. Tensors
/// are not set. `lora` may be null. Configuration errors: a target module of `lora` that matches no linear layer of the model (the
/// message lists those there are), a number of tensor-parallel ranks that does not divide the model.
///
/// Over tensor-parallel ranks (Shoeybi et al., arXiv 1909.08053): q, k, v, gate and up are split by outputs, o and down by inputs,
/// embedding and head by rows of the vocabulary. Of an adapter's factors the one beside the split is split, too. What is left lies
/// on every rank. A tied head whose stage does not hold the embedding has a copy of it, in the embedding's bucket.
///
/// With `quantization` (may be null) the linear layers it covers are kept in four-bit blocks; everything else is as it was. Configuration
/// error: an entry of its skip_modules that names no linear layer of the model, nothing left to quantise, a base that is trained.
ParamTable list_parameters(const ModelConfig& model, Trained trained, const LoraConfig* lora, const Placement& placement,
                           const QuantizationSpec* quantization = nullptr);
/// Of the whole model.
ParamTable list_parameters(const ModelConfig& model, Trained trained, const LoraConfig* lora,
                           const QuantizationSpec* quantization = nullptr);

/// How tensor-parallel ranks share a linear layer.
enum class LinearSplit : std::uint8_t {
    None,
    Outputs,  ///< column-parallel: rows of the weight [out, in]
    Inputs    ///< row-parallel: its columns
};

/// What a linear layer is called and between which widths it maps.
struct LinearShape {
    std::string path;
    std::int64_t out, in;
    bool bias;
    LinearSplit split = LinearSplit::None;
};
/// The linear layers of decoder layer `layer`: q, k, v, o, gate, up, down.
std::vector<LinearShape> linear_layers(const ModelConfig& model, std::int64_t layer);

/// Index of the parameter called `name`; -1 if there is none.
std::int64_t find_parameter(const ParamTable& table, const std::string& name);

/// Names of the modules that got factors, as PEFT lists them ("q_proj", ...), sorted.
std::vector<std::string> adapted_modules(const ParamTable& table);

}  // namespace tandem
