// Python's text: how str methods, repr() and json.dumps() behave, by code points.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::jinja {
class Value;
}

namespace tandem::jinja::python {

[[nodiscard]] bool is_space(char32_t c);  ///< str.isspace
[[nodiscard]] bool is_alpha(char32_t c);  ///< str.isalpha
[[nodiscard]] bool is_digit(char32_t c);  ///< str.isdecimal
[[nodiscard]] bool is_cased(char32_t c);

[[nodiscard]] std::string lower(std::string_view text);
[[nodiscard]] std::string upper(std::string_view text);
[[nodiscard]] std::string capitalize(std::string_view text);
[[nodiscard]] std::string title(std::string_view text);  ///< str.title

enum class Side { Left = 1, Right = 2, Both = 3 };
/// Without `characters`: white space.
[[nodiscard]] std::string strip(std::string_view text, Side side, const std::optional<std::string>& characters = {});
/// Without `separator`: runs of white space, and no empty parts. `most` < 0: no limit.
[[nodiscard]] std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator, std::int64_t most);
[[nodiscard]] std::vector<std::string> split_from_right(std::string_view text, const std::optional<std::string>& separator,
                                                        std::int64_t most);
[[nodiscard]] std::vector<std::string> split_lines(std::string_view text, bool keep_ends);
/// `most` < 0: all.
[[nodiscard]] std::string replace(std::string_view text, std::string_view old, std::string_view with, std::int64_t most);

[[nodiscard]] std::string float_repr(double x);
[[nodiscard]] std::string string_repr(std::string_view text);

struct JsonStyle {
    std::optional<std::string> indent;
    std::string item_separator = ", ", key_separator = ": ";
    bool ensure_ascii = false, sort_keys = false;
};
/// json.dumps. Throws Input for what JSON cannot say.
[[nodiscard]] std::string json_dumps(const Value& value, const JsonStyle& style);

}  // namespace tandem::jinja::python
