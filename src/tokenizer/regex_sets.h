// Sets of characters as the inside of a PCRE2 class, with the members that Oniguruma gives them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tandem::regex_sets {

/// The inside of a PCRE2 class, or the complement of one.
struct Set {
    std::string inside;
    bool complement = false;
};

inline constexpr std::string_view kSpace =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
inline constexpr std::string_view kHexDigit = "0-9A-Fa-f";

/// All characters of a general category ("L", "Nd"), also those that PCRE2's tables may not have yet.
[[nodiscard]] std::string of_category(std::string_view category);
[[nodiscard]] std::string alphabetic();
/// Oniguruma's \w in UTF-8: Alphabetic, M, Nd, Pc, and six digits of Latin-1 that it counts as well.
[[nodiscard]] std::string word();

/// Lower case, without '_', '-' and ' '.
[[nodiscard]] std::string plain_name(std::string_view name);
/// The general category that a plain name means, in PCRE2's spelling, or nothing.
[[nodiscard]] std::optional<std::string> category_name(const std::string& plain);

}  // namespace tandem::regex_sets
