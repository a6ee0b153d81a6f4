#include "src/model/adapter_base.h"

#include <algorithm>

#include "kernels/quant/four_bit.h"
#include "src/io/safetensors.h"
#include "src/model/parameters.h"

namespace tandem {
namespace {

template <class F>
bool every_linear_layer(const ModelConfig& model, const F& holds) {
    for (std::int64_t layer = 0; layer < model.layers; ++layer)
        if (!std::ranges::all_of(linear_layers(model, layer), holds)) return false;
    return true;
}

}  // namespace

Json quantization_json(const QuantizationSpec& spec) {
    return {{"type", name(spec.type)},
            {"block_size", spec.block_size},
            {"double_quant", spec.double_quant},
            {"skip_modules", spec.skip_modules}};
}

std::string adapter_base_text(const QuantizationSpec& spec, const ModelConfig& model) {
    QuantizationSpec own = spec;
    std::erase_if(own.skip_modules, [&](const std::string& skipped) {
        return every_linear_layer(model, [&](const LinearShape& linear) { return !matches_module(linear.path, skipped); });
    });
    return dump_json(quantization_json(own));
}

std::optional<QuantizationSpec> recorded_base(const std::filesystem::path& adapter) {
    const SafetensorsModel factors(adapter);
    const auto found = factors.metadata().find(kAdapterBaseKey);
    if (found == factors.metadata().end()) return std::nullopt;
    const std::string where = fmt::format("{}: metadata '{}'", (adapter / "adapter_model.safetensors").string(), kAdapterBaseKey);
    const Json json = parse_json(found->second, where);
    const auto type = get<std::string>(json, "type", where);
    if (type != name(FourBit::NF4) && type != name(FourBit::FP4))
        fail(Failure::Input, "{}: key 'type' is '{}', expected nf4 or fp4", where, type);
    QuantizationSpec spec{.type = four_bit_type(type),
                          .block_size = get<std::int64_t>(json, "block_size", where),
                          .double_quant = get<bool>(json, "double_quant", where),
                          .skip_modules = get_or<std::vector<std::string>>(json, "skip_modules", {}, where)};
    if (!is_block_size(spec.block_size)) {
        fail(Failure::Input, "{}: key 'block_size' is {}, expected a power of two from {} to {}", where, spec.block_size, kLeastBlock,
             kLargestBlock);
    }
    return spec;
}

bool same_blocks(const ModelConfig& model, const QuantizationSpec& a, const QuantizationSpec& b) {
    if (a.type != b.type || a.block_size != b.block_size || a.double_quant != b.double_quant) return false;
    return every_linear_layer(model, [&](const LinearShape& linear) { return a.covers(linear.path) == b.covers(linear.path); });
}

}  // namespace tandem
