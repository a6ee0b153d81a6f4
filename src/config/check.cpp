#include "src/config/check.h"

#include <algorithm>
#include <filesystem>

#include <fmt/ranges.h>

#include "kernels/base/error.h"
#include "src/config/option_builder.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

void require_key(bool present, std::string_view key, std::string_view command, const std::string& path) {
    if (!present)
        fail(Failure::Configuration, "{}: {} is missing, `{}` needs it; add it to the file or give --{} on the command line", path, key,
             command, key);
}

enum class Kind : std::uint8_t { Any, Directory, File };

void require_path(const RunConfig& config, std::string_view key, const std::string& path, Kind kind) {
    std::error_code status;
    const auto found = fs::status(path, status);
    if (!fs::exists(found)) {
        const auto why = status && found.type() != fs::file_type::not_found ? status.message() : "does not exist";
        fail(Failure::Configuration, "{}: {} = {}: {} (paths are relative to the working directory)", config.origin(key), key, path, why);
    }
    if (kind == Kind::Directory && !fs::is_directory(found)) {
        fail(Failure::Configuration, "{}: {} = {}: is not a directory", config.origin(key), key, path);
    }
    if (kind == Kind::File && fs::is_directory(found)) {
        fail(Failure::Configuration, "{}: {} = {}: is a directory, expected a file", config.origin(key), key, path);
    }
}

/// A directory that may be made later: what is there already must not be something else.
void refuse_file(const RunConfig& config, std::string_view key, const std::string& path) {
    std::error_code ignored;
    if (const auto found = fs::status(path, ignored); fs::exists(found) && !fs::is_directory(found)) {
        fail(Failure::Configuration, "{}: {} = {}: is a file, expected a directory", config.origin(key), key, path);
    }
}

void require_files(const RunConfig& config, std::string_view key, const std::vector<std::string>& patterns) {
    for (const auto& pattern : patterns) {
        if (pattern.find_first_of("*?[") == std::string::npos) require_path(config, key, pattern, Kind::File);
    }
}

}  // namespace

void check_required(const RunConfig& config, const std::string& path, Purpose purpose) {
    switch (purpose) {
        case Purpose::Train:
            require_key(!config.model.path.empty(), "model.path", "train", path);
            require_key(!config.data.train.empty(), "data.train", "train", path);
            require_key(!config.output.dir.empty(), "output.dir", "train", path);
            break;
        case Purpose::Eval:
            require_key(!config.model.path.empty(), "model.path", "eval", path);
            require_key(!config.data.validation.empty(), "data.validation", "eval", path);
            require_key(!config.output.dir.empty() || config.data.cache.has_value(), "output.dir", "eval", path);
            break;
        case Purpose::Prepare:
            require_key(!config.model.path.empty(), "model.path", "prepare", path);
            require_key(!config.data.train.empty() || !config.data.validation.empty(), "data.train", "prepare", path);
            require_key(!config.output.dir.empty() || config.data.cache.has_value(), "output.dir", "prepare", path);
            break;
        case Purpose::Plan: require_key(!config.model.path.empty(), "model.path", "plan", path); break;
    }
}

void check_values(const RunConfig& config) {
    if (config.model.dtype == DType::F64 && config.device.backend != DeviceBackend::Ref) {
        fail(Failure::Configuration, "{}: model.dtype = fp64 needs device.backend = ref; use bf16 or fp32 on other backends",
             config.origin("model.dtype"));
    }
    const bool eight_bit = config.optimizer.name == OptimizerName::AdamW8bit || config.optimizer.name == OptimizerName::PagedAdamW8bit;
    if (config.model.dtype == DType::F64 && eight_bit) {
        fail(Failure::Configuration, "{}: optimizer.name = {} updates fp32 weights; with model.dtype = fp64 use adamw or sgd",
             config.origin("optimizer.name"), as_typed(find_option("optimizer.name")->get(config), ""));
    }
    if (config.training.micro_batch_size > config.training.global_batch_size) {
        fail(Failure::Configuration, "{}: training.micro_batch_size = {} is more than training.global_batch_size = {}",
             config.origin("training.micro_batch_size"), config.training.micro_batch_size, config.training.global_batch_size);
    }
    const auto& layers = config.parallel.layers;
    const auto stages = config.parallel.pipeline * config.parallel.chunks;
    if (!layers.empty() && static_cast<std::int64_t>(layers.size()) != stages) {
        fail(Failure::Configuration,
             "{}: parallel.layers = {} has {} of the {} numbers that parallel.pipeline x parallel.chunks = {} x {} needs",
             config.origin("parallel.layers"), fmt::join(layers, ","), layers.size(), stages, config.parallel.pipeline,
             config.parallel.chunks);
    }
    const auto& targets = config.lora.target_modules;
    if (targets.size() > 1 && std::find(targets.begin(), targets.end(), "all-linear") != targets.end()) {
        fail(Failure::Configuration, "{}: lora.target_modules: all-linear stands alone or not at all",
             config.origin("lora.target_modules"));
    }
}

void check_paths(const RunConfig& config, Purpose purpose) {
    if (!config.model.path.empty()) {
        require_path(config, "model.path", config.model.path, Kind::Any);
        if (!fs::is_directory(config.model.path) && fs::path(config.model.path).extension() != ".gguf") {
            fail(Failure::Configuration, "{}: model.path = {}: is a file, expected a Hugging Face model directory or a .gguf file",
                 config.origin("model.path"), config.model.path);
        }
    }
    if (config.lora.adapter) require_path(config, "lora.adapter", *config.lora.adapter, Kind::Directory);
    if (purpose == Purpose::Plan) return;  // a plan opens config.json and nothing else
    if (config.data.chat_template) require_path(config, "data.chat_template", *config.data.chat_template, Kind::File);
    require_files(config, "data.train", config.data.train);
    require_files(config, "data.validation", config.data.validation);
    if (config.checkpoint.resume == Resume::Path) require_path(config, "checkpoint.resume", config.checkpoint.resume_path, Kind::Any);
    if (!config.output.dir.empty()) refuse_file(config, "output.dir", config.output.dir);
    if (config.data.cache) refuse_file(config, "data.cache", *config.data.cache);
}

}  // namespace tandem
