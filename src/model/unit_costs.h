// What each unit of a model (see parallel/program.h) costs a rank, counted from its shapes: what stages are balanced by before anything
// has run. Matrices and attention only; the rest is a few per cent and the same in every layer.
#pragma once

#include <functional>
#include <vector>

#include "src/model/transformer.h"

namespace tandem {

struct UnitCostSettings {
    Trained trained = Trained::Everything;
    const LoraConfig* lora = nullptr;                ///< may be null
    const QuantizationSpec* quantization = nullptr;  ///< likewise
    ActivationPolicy policy = ActivationPolicy::Keep;
    DType dtype = DType::BF16;
    std::int64_t sequence_length = 1;  ///< tokens of a sample
    int tensor = 1;                    ///< ranks that share each matrix
    int gradient_shards = 1;           ///< ranks that share gradients
    int state_shards = 1;              ///< ranks that share masters and optimizer state
    /// Bytes that the optimizer keeps on the device of each element of a trained parameter.
    std::function<double(const Parameter&)> moment_bytes = [](const Parameter&) { return 8.0; };
};

struct UnitCost {
    double forward = 0, recompute = 0, backward_input = 0, backward_weight = 0;  ///< floating-point operations of a token
    double weights = 0, gradients = 0, master = 0, optimizer = 0;                ///< bytes
    double activations = 0;                                                      ///< bytes of a token from forward to backward

    [[nodiscard]] double flops() const { return forward + recompute + backward_input + backward_weight; }
    /// Bytes with so many tokens between forward and backward.
    [[nodiscard]] double bytes(double tokens) const { return weights + gradients + master + optimizer + activations * tokens; }
};

/// Of every unit. Units below the lowest trained one have no backward. A tied head counts its copy of the embedding: it has one unless
/// it shares a stage with the embedding.
[[nodiscard]] std::vector<UnitCost> unit_costs(const ModelConfig& model, const UnitCostSettings& settings);

}  // namespace tandem
