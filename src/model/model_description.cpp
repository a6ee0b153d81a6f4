#include "src/model/model_description.h"

#include <fmt/format.h>

#include "kernels/quant/four_bit.h"

namespace tandem {
namespace {

/// Of codes and scales.
std::size_t block_bytes(const BlockGrid& grid, bool double_quant) {
    const auto blocks = static_cast<std::size_t>(grid.lines() * grid.line_blocks());
    const std::size_t scales =
        double_quant ? blocks + (static_cast<std::size_t>(grid.whole_groups()) + 1) * sizeof(float) : blocks * sizeof(float);
    return static_cast<std::size_t>(grid.code_bytes()) + scales;
}

}  // namespace

QuantizationReport report_quantization(const ModelDescription& description, DType dtype) {
    QuantizationReport report;
    for (const Parameter& p : whole_model_table(description)) {
        if (!p.quantized) continue;
        const std::string path = p.name.substr(0, p.name.rfind('.'));
        ++report.matrices;
        ++report.modules[path.substr(path.rfind('.') + 1)];
        report.weights += p.global.elements();
        report.bytes += block_bytes(p.quantized->grid, description.quantization->double_quant);
        report.bytes_before += static_cast<std::size_t>(p.global.elements()) * size_of(dtype);
    }
    return report;
}

std::string tag(const QuantizationSpec& spec) {
    std::string text = fmt::format("{}/{}{}", name(spec.type), spec.block_size, spec.double_quant ? "/double" : "");
    for (const std::string& skipped : spec.skip_modules) text += "/-" + skipped;
    return text;
}

}  // namespace tandem
