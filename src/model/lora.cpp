#include "src/model/lora.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/base/error.h"
#include "src/io/json.h"

namespace tandem {
namespace {

using nlohmann::json;

constexpr std::int64_t kLargestRank = 65536;  ///< as for lora.r

/// What adapter_config.json may ask for beyond plain LoRA, with the values that ask for nothing.
bool asks_for_nothing(const json& value) {
    return value.is_null() || value == false || value == 0 || (value.is_structured() && value.empty());
}

[[noreturn]] void wrong(const std::filesystem::path& file, const char* key, const json& found, const char* expected) {
    fail(Failure::Input, "{}: key '{}' is {}, expected {}", file.string(), key, found.dump(), expected);
}

std::vector<std::string> parse_targets(const json& value, const std::filesystem::path& file) {
    if (value.is_string()) {
        const auto text = value.get<std::string>();
        if (text != "all-linear")
            wrong(file, "target_modules", value, "a list of module names or \"all-linear\" (patterns are not supported)");
        return {text};
    }
    if (!value.is_array() || value.empty()) wrong(file, "target_modules", value, "a list of module names or \"all-linear\"");
    std::vector<std::string> names;
    for (const auto& name : value) {
        if (!name.is_string()) wrong(file, "target_modules", value, "a list of module names");
        names.push_back(name.get<std::string>());
    }
    return names;
}

/// These take the factors' first product off the base: what was trained belongs to weights that the base's files do not have.
void check_initialisation(const json& value, const std::filesystem::path& file) {
    if (!value.is_string()) return;
    auto word = value.get<std::string>();
    std::ranges::transform(word, word.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    for (const char* changes_base : {"pissa", "olora", "corda", "loftq", "lora_ga"}) {
        if (!word.starts_with(changes_base)) continue;
        wrong(file, "init_lora_weights", value,
              "one that leaves the base as it is: let peft convert the adapter while saving it (save_pretrained with "
              "path_initial_model_for_weight_conversion)");
    }
}

}  // namespace

double LoraConfig::scale() const {
    const auto rank = static_cast<double>(r);
    return alpha / (rslora ? std::sqrt(rank) : rank);
}

bool LoraConfig::targets(const std::string& path) const {
    return std::any_of(target_modules.begin(), target_modules.end(), [&](const std::string& target) {
        if (target == "all-linear") return path != "lm_head";
        return path == target || path.ends_with("." + target);
    });
}

LoraConfig load_adapter_config(const std::filesystem::path& directory) {
    const auto file = directory / "adapter_config.json";
    const json j = read_json_file(file);
    if (!j.is_object()) fail(Failure::Input, "{}: expected a JSON object", file.string());
    if (j.value("peft_type", json()) != "LORA") wrong(file, "peft_type", j.value("peft_type", json()), "\"LORA\"");
    static constexpr std::array unsupported = {"use_dora",
                                               "use_qalora",
                                               "modules_to_save",
                                               "rank_pattern",
                                               "alpha_pattern",
                                               "fan_in_fan_out",
                                               "layers_to_transform",
                                               "layer_replication",
                                               "trainable_token_indices",
                                               "lora_bias",
                                               "exclude_modules",
                                               "target_parameters",
                                               "layers_pattern",
                                               "alora_invocation_tokens",
                                               "arrow_config",
                                               "kasa_config",
                                               "monteclora_config",
                                               "use_bdlora"};
    for (const char* key : unsupported) {
        if (j.contains(key) && !asks_for_nothing(j.at(key)))
            wrong(file, key, j.at(key), "it to be absent: this version of tandem does not have it");
    }
    if (j.contains("bias") && j.at("bias") != "none") wrong(file, "bias", j.at("bias"), "\"none\"");
    check_initialisation(j.value("init_lora_weights", json()), file);
    LoraConfig lora;
    lora.file = file;
    const json r = j.value("r", json());
    if (!r.is_number_integer() || r.get<std::int64_t>() < 1 || r.get<std::int64_t>() > kLargestRank)
        wrong(file, "r", r, "a whole number from 1 to 65536");
    lora.r = r.get<std::int64_t>();
    const json alpha = j.value("lora_alpha", json());
    if (!alpha.is_number()) wrong(file, "lora_alpha", alpha, "a number");
    lora.alpha = alpha.get<double>();
    const json dropout = j.value("lora_dropout", json(0.0));
    if (!dropout.is_number() || dropout.get<double>() < 0 || dropout.get<double>() >= 1)
        wrong(file, "lora_dropout", dropout, "a number in [0, 1)");
    lora.dropout = dropout.get<double>();
    const json rslora = j.value("use_rslora", json(false));
    if (!rslora.is_boolean() && !rslora.is_null()) wrong(file, "use_rslora", rslora, "true or false");
    lora.rslora = rslora.is_boolean() && rslora.get<bool>();
    lora.target_modules = parse_targets(j.value("target_modules", json()), file);
    return lora;
}

json adapter_config_json(const LoraConfig& lora, const std::vector<std::string>& modules, const std::string& base) {
    return json{{"peft_type", "LORA"},
                {"task_type", "CAUSAL_LM"},
                {"base_model_name_or_path", base},
                {"r", lora.r},
                {"lora_alpha", lora.alpha},
                {"lora_dropout", lora.dropout},
                {"use_rslora", lora.rslora},
                {"target_modules", modules},
                {"bias", "none"},
                {"fan_in_fan_out", false},
                {"init_lora_weights", true},
                {"inference_mode", true},
                {"modules_to_save", nullptr}};
}

std::string adapter_tensor_name(const std::string& path, char factor) { return "base_model.model." + path + ".lora_" + factor + ".weight"; }

}  // namespace tandem
