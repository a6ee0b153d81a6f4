// String literals of templates.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tandem::jinja {

/// What stands between the quotes, with Python's escapes resolved; nothing if one is not valid. \N{...} is not known.
[[nodiscard]] std::optional<std::string> unescape(std::string_view literal);

}  // namespace tandem::jinja
