// Regular expressions of tokenizer.json. They are written for Oniguruma (Ruby-like syntax, Unicode 16) and run by PCRE2 after
// a translation that keeps what they match.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace tandem {

/// Oniguruma's syntax to PCRE2's: character classes with Unicode 16's members, `(?m)`, `^`, `$`, `{n,m}+`, `\h`. Throws Input
/// for nested classes, `&&` and absent operators, which PCRE2 does not have. `where` is what messages name.
[[nodiscard]] std::string translate_regex(std::string_view pattern, const std::string& where);

/// Compiled; matching is const and thread-safe.
class Regex {
public:
    /// Throws Input naming `where`, the pattern and PCRE2's reason.
    Regex(std::string_view pattern, const std::string& where);

    /// Calls f(begin, end) for each match in `text` (valid UTF-8), left to right, without overlaps.
    template <class F>
    void for_each_match(std::string_view text, F&& f) const {
        std::size_t from = 0;
        std::size_t last_end = static_cast<std::size_t>(-1);
        std::pair<std::size_t, std::size_t> match;
        while (from <= text.size() && search(text, from, match)) {
            if (match.first == match.second && match.second == last_end) {  // the same empty match again
                from = next_character(text, from);
                continue;
            }
            from = last_end = match.second;
            f(match.first, match.second);
        }
    }

private:
    bool search(std::string_view text, std::size_t from, std::pair<std::size_t, std::size_t>& match) const;
    static std::size_t next_character(std::string_view text, std::size_t at);

    std::shared_ptr<const void> code_;
    std::string where_;
};

/// `text` with everything escaped that a pattern would read as an operator.
[[nodiscard]] std::string escape_regex(std::string_view text);

}  // namespace tandem
