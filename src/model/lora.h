// Low-rank adapters (Hu et al., arXiv 2106.09685), described as PEFT's adapter_config.json describes them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace tandem {

struct LoraConfig {
    std::int64_t r = 16;
    double alpha = 32;
    double dropout = 0;
    bool rslora = false;
    /// Module names as PEFT matches them (a module's own name, or the end of its path), or {"all-linear"}.
    std::vector<std::string> target_modules = {"all-linear"};
    /// Where this was read, empty if it was typed: what is wrong with it is named after that.
    std::filesystem::path file = {};

    /// alpha / r, or alpha / sqrt(r) with rsLoRA (arXiv 2312.03732).
    [[nodiscard]] double scale() const;
    /// Whether the linear layer `path` ("model.layers.0.self_attn.q_proj") gets a pair of factors. The head never does under
    /// all-linear, as in PEFT.
    [[nodiscard]] bool targets(const std::string& path) const;
};

/// Reads DIR/adapter_config.json. Features that tandem does not have (DoRA, trained biases, modules_to_save, per-module
/// ranks, factors whose first product was taken off the base as PiSSA's, ...) are Input errors that name the file and the key.
LoraConfig load_adapter_config(const std::filesystem::path& directory);

/// adapter_config.json as PEFT reads it; `modules` are the names of the adapted modules, `base` is where the base model is.
nlohmann::json adapter_config_json(const LoraConfig& lora, const std::vector<std::string>& modules, const std::string& base);

/// PEFT's name of a factor ('A' or 'B') of the linear layer `path`.
std::string adapter_tensor_name(const std::string& path, char factor);

}  // namespace tandem
