#include "launch/quantization_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "kernels/quant/four_bit.h"
#include "src/config/value.h"
#include "src/model/adapter_base.h"

namespace tandem {
namespace {

constexpr std::array<const char*, 4> kOptions = {"quantization.type", "quantization.double_quant", "quantization.block_size",
                                                 "quantization.skip_modules"};

/// The options whose values are not the defaults.
std::string options_for(const QuantizationSpec& spec) {
    const QuantizationSpec defaults;
    std::string text = fmt::format("--quantization.type {}", name(spec.type));
    if (spec.double_quant != defaults.double_quant) text += fmt::format(" --quantization.double_quant {}", spec.double_quant);
    if (spec.block_size != defaults.block_size) text += fmt::format(" --quantization.block_size {}", spec.block_size);
    if (!spec.skip_modules.empty()) text += fmt::format(" --quantization.skip_modules {}", fmt::join(spec.skip_modules, ","));
    return text;
}

}  // namespace

void QuantizationOptions::declare(CommandLine& line, const std::vector<std::string>& types, const std::string& meaning) {
    type = types.front();
    line.choice(kOptions[0], type, types, meaning);
    line.choice(kOptions[1], double_quant, {"true", "false"}, "as the adapter was trained");
    line.option(kOptions[2], block_size, kLeastBlock, "likewise");
    line.option(kOptions[3], skip_modules, "likewise: names of linear layers, comma-separated");
}

std::string QuantizationOptions::first_given(const CommandLine& line) {
    for (const char* option : kOptions)
        if (line.given(option)) return option;
    return "";
}

void QuantizationOptions::apply(const CommandLine& line, QuantizationSection& section) const {
    if (line.given(kOptions[0])) section.type = four_bit_type(type);
    if (line.given(kOptions[1])) section.double_quant = double_quant == "true";
    if (line.given(kOptions[2])) section.block_size = block_size;
    if (!is_block_size(section.block_size)) {
        fail(Failure::Configuration, "--{} {}: expected a power of two from {} to {}", kOptions[2], section.block_size, kLeastBlock,
             kLargestBlock);
    }
    if (!line.given(kOptions[3])) return;
    try {
        section.skip_modules = parse_list(skip_modules);
    } catch (const BadValue& expected) {
        fail(Failure::Configuration, "--{} {}: expected {}", kOptions[3], skip_modules, expected.what());
    }
}

std::optional<std::string> other_base(const std::string& adapter, const std::string& model, const ModelDescription& description,
                                      const std::string& before) {
    const auto recorded = recorded_base(adapter);
    const auto& used = description.quantization;
    if (!recorded || (used && same_blocks(description.model, *recorded, *used))) return std::nullopt;
    return fmt::format("{} was trained over a base in four bits ({}), and {} is read {}: {}{}{} gives that base", adapter, tag(*recorded),
                       model, used ? "as " + tag(*used) : "as it is", used && used->stored ? "the model in full precision with " : "",
                       before, options_for(*recorded));
}

}  // namespace tandem
