#include "src/tokenizer/jinja/string_literal.h"

#include <charconv>

#include "src/tokenizer/unicode.h"

namespace tandem::jinja {

namespace {

std::optional<char32_t> hex(std::string_view literal, std::size_t at, std::size_t digits) {
    if (at + digits > literal.size()) return std::nullopt;
    unsigned value = 0;
    const char* last = literal.data() + at + digits;
    if (std::from_chars(literal.data() + at, last, value, 16).ptr != last || value > 0x10FFFF) return std::nullopt;
    return static_cast<char32_t>(value);
}

/// An escape by code in two, four or eight hexadecimal digits at `at` (the letter); moves `at` behind it. A pair of surrogates is one
/// character.
std::optional<char32_t> code_point(std::string_view literal, std::size_t& at) {
    const char kind = literal[at];
    const std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
    auto value = hex(literal, at + 1, digits);
    at += 1 + digits;
    if (!value || *value < 0xD800 || *value > 0xDFFF) return value;
    if (*value > 0xDBFF || literal.substr(at, 2) != "\\u") return std::nullopt;
    const auto low = hex(literal, at + 2, 4);
    if (!low || *low < 0xDC00 || *low > 0xDFFF) return std::nullopt;
    at += 6;
    return 0x10000 + ((*value - 0xD800) << 10U) + (*low - 0xDC00);
}

std::optional<char> simple(char letter) {
    static constexpr std::string_view kLetters = "\\'\"abfnrtv", kValues = "\\'\"\a\b\f\n\r\t\v";
    const std::size_t at = kLetters.find(letter);
    return at == std::string_view::npos ? std::nullopt : std::optional(kValues[at]);
}

}  // namespace

std::optional<std::string> unescape(std::string_view literal) {
    std::string out;
    for (std::size_t at = 0; at < literal.size();) {
        if (literal[at] != '\\' || at + 1 == literal.size()) {
            out.push_back(literal[at++]);
            continue;
        }
        const char letter = literal[++at];
        if (letter == '\n') {  // the line goes on
            ++at;
        } else if (const auto character = simple(letter)) {
            out.push_back(*character);
            ++at;
        } else if (letter == 'x' || letter == 'u' || letter == 'U') {
            const auto c = code_point(literal, at);
            if (!c) return std::nullopt;
            unicode::append(out, *c);
        } else if (letter >= '0' && letter <= '7') {
            char32_t value = 0;
            for (int i = 0; i < 3 && at < literal.size() && literal[at] >= '0' && literal[at] <= '7'; ++i) {
                value = value * 8 + static_cast<char32_t>(literal[at++] - '0');
            }
            unicode::append(out, value);
        } else if (letter == 'N') {
            return std::nullopt;
        } else {  // not an escape: the backslash stays
            out.push_back('\\');
            out.push_back(letter);
            ++at;
        }
    }
    return out;
}

}  // namespace tandem::jinja
