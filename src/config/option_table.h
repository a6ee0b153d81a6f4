// The one table of configuration keys. The INI reader, the command line, --help, docs/configuration.md, the log and the
// manifest are all made from it, so that they cannot disagree.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "src/config/run_config.h"

namespace tandem {

struct Option {
    std::string key;           ///< "training.max_steps"
    std::string values;        ///< what may be given: "a whole number, at least 1", "cosine, linear or constant"
    std::string default_text;  ///< as it would be typed; "required" where there is none
    std::string help;          ///< one line
    std::function<void(RunConfig&, std::string_view)> set;  ///< from trimmed, non-empty text; throws BadValue
    std::function<nlohmann::ordered_json(const RunConfig&)> get;

    [[nodiscard]] std::string_view section() const { return std::string_view(key).substr(0, key.find('.')); }
    [[nodiscard]] std::string_view leaf() const { return std::string_view(key).substr(key.find('.') + 1); }
};

/// Every key, grouped by section, in the order of the documentation.
[[nodiscard]] const std::vector<Option>& option_table();
/// The option named `section.key`, or null.
[[nodiscard]] const Option* find_option(std::string_view key);
/// Section names in the table's order.
[[nodiscard]] const std::vector<std::string>& option_sections();

/// The key that was probably meant by one that is not in the table: the nearest, the same name in another section, or what
/// another trainer calls so. Empty where nothing is near.
[[nodiscard]] std::string nearest_key(std::string_view unknown);
/// "; did you mean 'X'?" or "".
[[nodiscard]] std::string suggest_key(std::string_view unknown);

/// One line of a --help list, folded where it is long: the name, then the text in a column of its own.
[[nodiscard]] std::string help_entry(const std::string& name, std::string_view text);
/// The keys as a list for --help, grouped by section.
[[nodiscard]] std::string configuration_help();
/// docs/configuration.md.
[[nodiscard]] std::string configuration_markdown();

}  // namespace tandem
