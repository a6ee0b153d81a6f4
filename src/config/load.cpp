#include "src/config/load.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "src/config/check.h"
#include "src/config/ini.h"
#include "src/config/option_table.h"
#include "src/config/value.h"

namespace tandem {
namespace {

/// Sets one key; `origin` is "run.ini:12" or "command line".
void apply(RunConfig& config, const std::string& key, std::string_view value, const std::string& origin) {
    const Option* option = find_option(key);
    if (option == nullptr) fail(Failure::Configuration, "{}: unknown key '{}'{}", origin, key, suggest_key(key));
    const auto text = trimmed(value);
    if (text.empty()) fail(Failure::Configuration, "{}: {} has no value, expected {}", origin, key, option->values);
    try {
        option->set(config, text);
    } catch (const BadValue& expected) {
        fail(Failure::Configuration, "{}: {} = {}: expected {}", origin, key, text, expected.what());
    }
    const auto known = std::find_if(config.origins.begin(), config.origins.end(), [&](const Origin& o) { return o.key == key; });
    if (known != config.origins.end()) known->origin = origin;
    else config.origins.push_back({key, origin});
}

}  // namespace

bool RunConfig::given(std::string_view key) const {
    return std::any_of(origins.begin(), origins.end(), [key](const Origin& o) { return o.key == key; });
}

std::string RunConfig::origin(std::string_view key) const {
    const auto found = std::find_if(origins.begin(), origins.end(), [key](const Origin& o) { return o.key == key; });
    return found == origins.end() ? "default" : found->origin;
}

RunConfig load_run_config(const std::string& path, const std::vector<Override>& overrides, Purpose purpose) {
    return parse_run_config(read_text(path), path, overrides, purpose);
}

RunConfig parse_run_config(std::string_view text, const std::string& path, const std::vector<Override>& overrides, Purpose purpose) {
    RunConfig config;
    for (const auto& setting : parse_ini(text, path)) {
        apply(config, setting.key, setting.value, fmt::format("{}:{}", path, setting.line));
    }
    for (auto it = overrides.begin(); it != overrides.end(); ++it) {
        const auto same_key = [it](const Override& earlier) { return earlier.key == it->key; };
        if (std::any_of(overrides.begin(), it, same_key)) fail(Failure::Configuration, "command line: --{} is given twice", it->key);
        apply(config, it->key, it->value, "command line");
    }
    check_required(config, path, purpose);
    check_built(config, purpose);
    check_values(config);
    check_paths(config, purpose);
    return config;
}

nlohmann::ordered_json to_json(const RunConfig& config) {
    nlohmann::ordered_json out;
    for (const auto& option : option_table()) {
        out[std::string(option.section())][std::string(option.leaf())] = {{"value", option.get(config)},
                                                                          {"origin", config.origin(option.key)}};
    }
    return out;
}

}  // namespace tandem
