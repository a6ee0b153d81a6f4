// What a run says of a model, without its weights.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "src/model/parameters.h"

namespace tandem {

struct ModelDescription {
    ModelConfig model;
    std::optional<LoraConfig> lora = {};
    Trained trained = Trained::Nothing;
    std::optional<QuantizationSpec> quantization = {};  ///< of the frozen base

    [[nodiscard]] const LoraConfig* lora_or_null() const { return lora ? &*lora : nullptr; }
    [[nodiscard]] const QuantizationSpec* quantization_or_null() const { return quantization ? &*quantization : nullptr; }
};

/// Of every unit, whichever rank holds it.
[[nodiscard]] inline ParamTable whole_model_table(const ModelDescription& d) {
    return list_parameters(d.model, d.trained, d.lora_or_null(), d.quantization_or_null());
}

/// Which weights of the whole model are in four-bit blocks, and what that saves.
struct QuantizationReport {
    std::int64_t matrices = 0, weights = 0;       ///< quantised ones
    std::size_t bytes = 0, bytes_before = 0;      ///< of them: codes and scales; in the type of the computation
    std::map<std::string, std::int64_t> modules;  ///< matrices by name: "q_proj"
};
[[nodiscard]] QuantizationReport report_quantization(const ModelDescription& description, DType dtype);
/// "nf4/64/double": the same weights in the same blocks give the same text.
[[nodiscard]] std::string tag(const QuantizationSpec& spec);

}  // namespace tandem
