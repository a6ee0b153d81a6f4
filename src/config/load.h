// From a file and a command line to a checked RunConfig.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/config/run_config.h"

namespace tandem {

/// Which subcommand the configuration is for: decides which keys must be there.
enum class Purpose : std::uint8_t { Train, Eval, Prepare, Plan };

/// One `--section.key value` of the command line.
struct Override {
    std::string key;
    std::string value;
};

/// Reads the INI file `path`, lets `overrides` win, checks every value and the values against each other.
/// Throws Configuration naming file, line and key.
[[nodiscard]] RunConfig load_run_config(const std::string& path, const std::vector<Override>& overrides, Purpose purpose);

/// The same from `text`; `path` is used in messages and origins.
[[nodiscard]] RunConfig parse_run_config(std::string_view text, const std::string& path, const std::vector<Override>& overrides,
                                         Purpose purpose);

/// The resolved configuration for manifest.json: {"section": {"key": {"value": ..., "origin": "default" | "file:line" | "command line"}}}.
[[nodiscard]] nlohmann::ordered_json to_json(const RunConfig& config);

/// How `ranks` are laid out and the global batch is cut. Throws Configuration where something does not divide.
struct RankLayout {
    std::int64_t data = 1, tensor = 1, pipeline = 1;
    std::int64_t accumulation = 1;  ///< Train, Plan: micro-batches of one rank in one step, global / (micro x data)
};
[[nodiscard]] RankLayout resolve_layout(const RunConfig& config, std::int64_t ranks, Purpose purpose);

}  // namespace tandem
