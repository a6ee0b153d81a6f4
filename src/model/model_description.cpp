#include "src/model/model_description.h"

#include <fmt/ranges.h>

#include "kernels/quant/four_bit.h"

namespace tandem {
namespace {

std::string in_units(std::size_t bytes) {
    const auto b = static_cast<double>(bytes);
    return b < 0x1p30 ? fmt::format("{:.1f} MiB", b / 0x1p20) : fmt::format("{:.2f} GiB", b / 0x1p30);
}

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

std::string describe(const QuantizationSpec& spec, const QuantizationReport& report) {
    std::vector<std::string> modules;
    for (const auto& [module, count] : report.modules) modules.push_back(fmt::format("{} {}", module, count));
    return fmt::format("{} in blocks of {}{}: {} matrices ({}), {:.1f} M weights in {} instead of {}", name(spec.type), spec.block_size,
                       spec.double_quant ? " with double quantisation" : "", report.matrices, fmt::join(modules, ", "),
                       static_cast<double>(report.weights) / 1e6, in_units(report.bytes), in_units(report.bytes_before));
}

std::string tag(const QuantizationSpec& spec) {
    std::string text = fmt::format("{}/{}{}", name(spec.type), spec.block_size, spec.double_quant ? "/double" : "");
    for (const std::string& skipped : spec.skip_modules) text += "/-" + skipped;
    return text;
}

}  // namespace tandem
