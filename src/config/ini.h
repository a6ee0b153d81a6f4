// The INI reader: sections, keys, values and the line each stands on.
#pragma once

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

/// Splits `text` into settings whose keys are all in the option table, none twice. Accepts a byte order mark, CRLF and a last line
/// without an end; `section.key = value` needs no section header. Throws Configuration with `path` and line.
[[nodiscard]] std::vector<Setting> parse_ini(std::string_view text, const std::string& path);

/// The whole of a small text file. Throws Configuration where it cannot be read or is not text.
[[nodiscard]] std::string read_text(const std::string& path);

}  // namespace tandem
