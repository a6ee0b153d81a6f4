#include "src/tokenizer/regex_sets.h"

#include <fmt/format.h>

#include <cctype>

#include "src/tokenizer/unicode.h"

namespace tandem::regex_sets {

namespace {

/// Members that PCRE2's Unicode tables may not have yet.
std::string later_members(std::string_view category) {
    std::string out;
    for (const auto& a : unicode::additions()) {
        if (std::string_view(a.category, 2).substr(0, category.size()) == category) {
            out += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<unsigned>(a.first), static_cast<unsigned>(a.last));
        }
    }
    return out;
}

}  // namespace

std::string of_category(std::string_view category) { return fmt::format("\\p{{{}}}{}", category, later_members(category)); }

std::string alphabetic() { return "\\p{L}\\p{Nl}\\p{Alphabetic}" + later_members("L") + "\\x{10d69}\\x{1e030}-\\x{1e06d}"; }

std::string word() { return alphabetic() + of_category("M") + of_category("Nd") + "\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"; }

std::string plain_name(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if (c != '_' && c != '-' && c != ' ') out.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    }
    return out;
}

std::optional<std::string> category_name(const std::string& plain) {
    static constexpr std::string_view kCategories[] = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N", "Nd",
                                                       "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm",
                                                       "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cs"};
    static constexpr std::pair<std::string_view, std::string_view> kLong[] = {{"letter", "L"},
                                                                              {"mark", "M"},
                                                                              {"number", "N"},
                                                                              {"punctuation", "P"},
                                                                              {"symbol", "S"},
                                                                              {"separator", "Z"},
                                                                              {"uppercaseletter", "Lu"},
                                                                              {"lowercaseletter", "Ll"},
                                                                              {"decimalnumber", "Nd"},
                                                                              {"control", "Cc"},
                                                                              {"punct", "P"},
                                                                              {"digit", "Nd"},
                                                                              {"cntrl", "Cc"}};
    for (const auto c : kCategories) {
        if (plain_name(c) == plain) return std::string(c);
    }
    for (const auto& [long_name, c] : kLong) {
        if (long_name == plain) return std::string(c);
    }
    return std::nullopt;
}

}  // namespace tandem::regex_sets
