// The INI reader: sections, keys, values and the line each stands on.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

/// One `key = value` of a file.
struct Setting {
    std::string key;  ///< "section.key"
    std::string value;
    std::size_t line;  ///< from 1
};

/// Which keys a kind of file may hold.
struct KeySet {
    std::vector<std::string> sections;
    std::function<bool(std::string_view)> knows;               ///< "section.key"
    std::function<std::string(std::string_view)> suggest_for;  ///< "; did you mean 'X'?" or ""
};
/// The keys of the option table.
[[nodiscard]] const KeySet& run_keys();

/// Splits `text` into settings whose keys are all in `keys`, none twice. Accepts a byte order mark, CRLF and a last line
/// without an end; `section.key = value` needs no section header. Throws Configuration with `path` and line.
[[nodiscard]] std::vector<Setting> parse_ini(std::string_view text, const std::string& path, const KeySet& keys = run_keys());

/// The whole of a small text file. Throws Configuration where it cannot be read or is not text.
[[nodiscard]] std::string read_text(const std::string& path);

}  // namespace tandem
