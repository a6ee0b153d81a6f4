#include "src/model/quantization_config.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "kernels/quant/four_bit.h"
#include "src/io/bitsandbytes_model.h"
#include "src/io/json.h"
#include "src/model/parameters.h"

namespace tandem {
namespace {

using nlohmann::json;
using std::filesystem::path;

constexpr const char* kKey = "quantization_config";

/// LLM.int8's, or of no effect on values.
constexpr std::array<std::string_view, 12> kOtherKeys = {"quant_method",
                                                         "load_in_4bit",
                                                         "load_in_8bit",
                                                         "_load_in_4bit",
                                                         "_load_in_8bit",
                                                         "bnb_4bit_compute_dtype",
                                                         "bnb_4bit_quant_storage",
                                                         "llm_int8_enable_fp32_cpu_offload",
                                                         "llm_int8_has_fp16_weight",
                                                         "llm_int8_threshold",
                                                         "modules_to_not_convert",
                                                         "version"};

[[noreturn]] void refuse(const path& file, std::string_view key, const json& found) {
    fail(Failure::Input, "{}: key '{}.{}' is {}, which this version of tandem does not have; expected bitsandbytes in four bits (nf4, fp4)",
         file.string(), kKey, key, found.dump());
}

std::vector<std::string> linear_paths(const ModelConfig& model) {
    std::vector<std::string> paths;
    for (std::int64_t layer = 0; layer < model.layers; ++layer)
        for (const auto& linear : linear_layers(model, layer)) paths.push_back(linear.path);
    return paths;
}

/// Whether transformers leaves a layer out by a name in llm_int8_skip_modules: at its path's beginning, up to a dot, or as its end.
bool transformers_skips(const std::vector<std::string>& names, const std::string& layer) {
    return std::ranges::any_of(names, [&](const std::string& skipped) {
        return layer.ends_with(skipped) || (layer.starts_with(skipped) && layer[skipped.size()] == '.');
    });
}

/// `spec.skip_modules` so that transformers leaves out the same layers; the head as well, which an explicit list must name.
json skip_modules_json(const QuantizationSpec& spec, const ModelConfig& model) {
    if (spec.skip_modules.empty()) return nullptr;
    const auto paths = linear_paths(model);
    std::vector<std::string> names = spec.skip_modules;
    const bool alike = std::ranges::all_of(paths, [&](const auto& p) { return transformers_skips(names, p) == !spec.covers(p); });
    if (!alike) {
        names.clear();
        std::ranges::copy_if(paths, std::back_inserter(names), [&](const auto& p) { return !spec.covers(p); });
    }
    if (std::ranges::find(names, "lm_head") == names.end()) names.emplace_back("lm_head");
    return names;
}

}  // namespace

std::optional<QuantizationSpec> parse_quantization_config(const json& config, const path& file) {
    if (!config.contains(kKey) || config.at(kKey).is_null()) return std::nullopt;
    const json& object = config.at(kKey);
    const std::string where = fmt::format("{}: {}", file.string(), kKey);
    // Files of transformers before 4.30 have no quant_method.
    const auto method = get_or<std::string>(object, "quant_method", "bitsandbytes", where);
    if (method != "bitsandbytes") refuse(file, "quant_method", object.at("quant_method"));
    if (get_or(object, "load_in_8bit", false, where)) refuse(file, "load_in_8bit", true);
    if (!get_or(object, "load_in_4bit", false, where)) refuse(file, "load_in_4bit", object.value("load_in_4bit", json()));
    QuantizationSpec spec;
    spec.stored = true;
    const auto type = get_or<std::string>(object, "bnb_4bit_quant_type", "fp4", where);
    if (type != name(FourBit::NF4) && type != name(FourBit::FP4)) refuse(file, "bnb_4bit_quant_type", type);
    spec.type = type == name(FourBit::NF4) ? FourBit::NF4 : FourBit::FP4;
    spec.double_quant = get_or(object, "bnb_4bit_use_double_quant", false, where);
    spec.skip_modules = get_or<std::vector<std::string>>(object, "llm_int8_skip_modules", {}, where);
    for (const auto& [key, value] : object.items()) {
        const bool read = key == "bnb_4bit_quant_type" || key == "bnb_4bit_use_double_quant" || key == "llm_int8_skip_modules";
        if (!read && !value.is_null() && std::ranges::find(kOtherKeys, key) == kOtherKeys.end()) refuse(file, key, value);
    }
    return spec;
}

json quantization_config_json(const QuantizationSpec& spec, DType compute, const ModelConfig& model) {
    return {{"_load_in_4bit", true},
            {"_load_in_8bit", false},
            {"bnb_4bit_compute_dtype", torch_name(compute)},
            {"bnb_4bit_quant_storage", "uint8"},
            {"bnb_4bit_quant_type", name(spec.type)},
            {"bnb_4bit_use_double_quant", spec.double_quant},
            {"llm_int8_enable_fp32_cpu_offload", false},
            {"llm_int8_has_fp16_weight", false},
            {"llm_int8_skip_modules", skip_modules_json(spec, model)},
            {"llm_int8_threshold", 6.0},
            {"load_in_4bit", true},
            {"load_in_8bit", false},
            {"quant_method", "bitsandbytes"}};
}

QuantizationSpec stored_quantization(const ModelConfig& model, const path& directory) {
    require(model.quantization.has_value(), "stored_quantization() of a model that is not quantised");
    QuantizationSpec spec = *model.quantization;
    if (!std::filesystem::exists(directory / "model.safetensors") && !std::filesystem::exists(directory / "model.safetensors.index.json"))
        return spec;
    const SafetensorsModel files(directory);
    const FourBitTensors tensors(files);
    if (tensors.matrices().empty()) {
        fail(Failure::Input, "{}: key '{}' says that the weights are in four bits, but none of them is",
             (directory / "config.json").string(), kKey);
    }
    const auto& [first_name, first] = *tensors.matrices().begin();
    for (const auto& [matrix, layout] : tensors.matrices()) {
        if (layout.type == first.type && layout.block_size == first.block_size && layout.double_quant == first.double_quant) continue;
        fail(Failure::Input, "{}: tensors '{}' and '{}' are quantised in different ways, which this version of tandem does not have",
             directory.string(), first_name, matrix);
    }
    spec.type = first.type;
    spec.block_size = first.block_size;
    spec.double_quant = first.double_quant;
    const auto paths = linear_paths(model);
    const auto dense = [&](const std::string& p) { return tensors.find(p + ".weight") == nullptr; };
    if (std::ranges::all_of(paths, [&](const auto& p) { return spec.covers(p) == !dense(p); })) return spec;
    spec.skip_modules.clear();
    std::ranges::copy_if(paths, std::back_inserter(spec.skip_modules), dense);
    return spec;
}

}  // namespace tandem
