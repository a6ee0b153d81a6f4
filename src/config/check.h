// What the values of a configuration must satisfy together. Every function throws Configuration naming where the value
// was given, the key, the value and what to do.
#pragma once

#include <string>

#include "src/config/load.h"

namespace tandem {

/// Keys that `purpose` cannot do without; `path` is the configuration file, for the message.
void check_required(const RunConfig& config, const std::string& path, Purpose purpose);
/// Refuses values that are part of the interface and not built in this version for `purpose`, saying what works instead.
void check_built(const RunConfig& config, Purpose purpose);
/// Values that contradict each other.
void check_values(const RunConfig& config);
/// Paths that `purpose` opens must exist.
void check_paths(const RunConfig& config, Purpose purpose);

}  // namespace tandem
