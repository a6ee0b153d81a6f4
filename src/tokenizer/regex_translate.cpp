#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <vector>

#include "kernels/base/error.h"
#include "src/tokenizer/regex.h"
#include "src/tokenizer/regex_sets.h"
#include "src/tokenizer/unicode.h"

namespace tandem {

namespace {

using namespace regex_sets;  // the vocabulary of this file

bool compiles(const std::string& pattern) {
    int error = 0;
    std::size_t offset = 0;
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF, &error, &offset, nullptr);
    pcre2_code_free(code);
    return code != nullptr;
}

class Translator {
public:
    Translator(std::string_view pattern, const std::string& where) : in_(pattern), where_(where) {}

    std::string run() {
        while (at_ < in_.size()) step();
        return std::move(out_);
    }

private:
    [[noreturn]] void refuse(std::string_view what) const {
        fail(Failure::Input, "{}: the regular expression {} uses {}, which is not supported", where_, in_, what);
    }
    [[nodiscard]] char peek(std::size_t ahead = 0) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }
    [[nodiscard]] bool next_is(std::string_view s) const { return in_.substr(at_, s.size()) == s; }

    void atom(std::string_view text) {
        atom_ = out_.size();
        out_ += text;
    }

    void step() {
        switch (peek()) {
            case '\\': return escape();
            case '[': return atom(char_class());
            case '(': return open();
            case ')':
                if (!groups_.empty()) {
                    atom_ = groups_.back();
                    groups_.pop_back();
                }
                out_ += in_[at_++];
                return;
            case '{': return interval();
            case '*':
            case '+':
            case '?': out_ += in_[at_++]; return;
            default: {
                const std::size_t length = std::min(unicode::length_of(peek()), in_.size() - at_);
                atom(in_.substr(at_, length));
                at_ += length;
            }
        }
    }

    void open() {
        groups_.push_back(out_.size());
        if (!next_is("(?") || next_is("(?#")) {
            out_ += in_[at_++];
            return;
        }
        if (next_is("(?~")) refuse("an absent operator");
        std::size_t end = at_ + 2;
        while (end < in_.size() && (std::isalpha(static_cast<unsigned char>(in_[end])) != 0 || in_[end] == '-')) ++end;
        if (end == at_ + 2 || end == in_.size() || (in_[end] != ')' && in_[end] != ':')) {  // lookaround, atomic, named
            out_ += "(?";
            at_ += 2;
            return;
        }
        out_ += "(?";
        for (at_ += 2; at_ < end; ++at_) out_ += in_[at_] == 'm' ? 's' : in_[at_];  // Ruby's m: the dot matches a newline
    }

    /// {n}, {n,}, {,m}, {n,m}; an interval followed by + repeats greedily, it is not possessive.
    void interval() {
        std::size_t end = at_ + 1;
        const auto digits = [&] {
            const std::size_t from = end;
            while (end < in_.size() && std::isdigit(static_cast<unsigned char>(in_[end])) != 0) ++end;
            return std::string(in_.substr(from, end - from));
        };
        std::string low = digits(), high;
        const bool comma = end < in_.size() && in_[end] == ',';
        if (comma) {
            ++end;
            high = digits();
        }
        if (end >= in_.size() || in_[end] != '}' || (low.empty() && high.empty())) {
            atom("\\{");
            ++at_;
            return;
        }
        at_ = end + 1;
        const std::string text = comma ? fmt::format("{{{},{}}}", low.empty() ? "0" : low, high) : fmt::format("{{{}}}", low);
        out_ += text;
        if (peek() == '+') {
            out_.insert(atom_, "(?:");
            out_ += ")";
        }
    }

    /// The set of an escape like \s or \p{L}; nothing if the escape at the current place is no set. Consumes it.
    std::optional<Set> escaped_set() {
        const char c = peek(1);
        const auto taken = [&](std::string inside, bool complement) {
            at_ += 2;
            return Set{std::move(inside), complement};
        };
        switch (c) {
            case 's':
            case 'S': return taken(std::string(kSpace), c == 'S');
            case 'd':
            case 'D': return taken(of_category("Nd"), c == 'D');
            case 'w':
            case 'W': return taken(word(), c == 'W');
            case 'h':
            case 'H': return taken(std::string(kHexDigit), c == 'H');
            case 'p':
            case 'P': return property();
            default: return std::nullopt;
        }
    }

    Set property() {
        const std::size_t close = in_.find('}', at_);
        if (peek(2) != '{' || close == std::string_view::npos) refuse("a property without its name in braces");
        std::string_view name = in_.substr(at_ + 3, close - at_ - 3);
        bool complement = peek(1) == 'P';
        if (!name.empty() && name.front() == '^') {
            complement = !complement;
            name.remove_prefix(1);
        }
        at_ = close + 1;
        return {property_members(name), complement};
    }

    [[nodiscard]] std::string property_members(std::string_view name) const {
        const std::string plain = plain_name(name);
        if (const auto category = category_name(plain)) return of_category(*category);
        if (plain == "alpha" || plain == "alphabetic") return alphabetic();
        if (plain == "alnum") return alphabetic() + of_category("Nd");
        if (plain == "space" || plain == "whitespace") return std::string(kSpace);
        if (plain == "word") return word();
        if (plain == "xdigit") return std::string(kHexDigit);
        if (plain == "any") return "\\x{0}-\\x{10ffff}";
        // A script is meant, not its extensions, which is what newer PCRE2 takes the bare name for.
        for (const char* form : {"\\p{{sc:{}}}", "\\p{{{}}}"}) {
            const std::string candidate = fmt::format(fmt::runtime(form), name);
            if (compiles(candidate)) return candidate;
        }
        refuse(fmt::format("the property {}", name));
    }

    void escape() {
        if (const auto set = escaped_set()) return atom(fmt::format("[{}{}]", set->complement ? "^" : "", set->inside));
        const char c = peek(1);
        if (c == 'b' || c == 'B') {
            at_ += 2;
            const std::string w = "[" + word() + "]";
            return atom(c == 'b' ? fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", w)
                                 : fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", w));
        }
        atom(escaped_character());
    }

    /// An escape that stands for one character, or one that both engines read alike.
    std::string escaped_character() {
        const char c = peek(1);
        if (c == 'v') return at_ += 2, "\\x{b}";
        if (c == 'u' && in_.size() >= at_ + 6) {
            const std::string hex(in_.substr(at_ + 2, 4));
            at_ += 6;
            return fmt::format("\\x{{{}}}", hex);
        }
        if (c == '\0') refuse("a backslash at its end");
        const std::size_t length = 1 + std::min(unicode::length_of(c), in_.size() - at_ - 1);
        const std::string text(in_.substr(at_, length));
        at_ += length;
        return text;
    }

    std::optional<Set> posix_class() {
        const std::size_t close = in_.find(":]", at_);
        if (!next_is("[:") || close == std::string_view::npos) return std::nullopt;
        std::string_view name = in_.substr(at_ + 2, close - at_ - 2);
        const bool complement = !name.empty() && name.front() == '^';
        if (complement) name.remove_prefix(1);
        at_ = close + 2;
        if (name == "punct") return Set{of_category("P") + of_category("S"), complement};
        if (name == "blank") return Set{of_category("Zs") + "\\t", complement};
        if (name == "upper" || name == "lower" || name == "graph" || name == "print" || name == "ascii") {
            refuse(fmt::format("the class [:{}:]", name));
        }
        return Set{property_members(name), complement};
    }

    /// Members and complements of a class are gathered apart: PCRE2 cannot write the complement of a list inside a class.
    std::string char_class() {
        const bool negated = peek(1) == '^';
        at_ += negated ? 2 : 1;
        std::string members;
        std::vector<std::string> complements;
        if (peek() == ']') {
            members = "\\]";
            ++at_;
        }
        while (peek() != ']' || at_ >= in_.size()) {
            if (at_ >= in_.size()) refuse("a class without its end");
            if (next_is("&&")) refuse("the intersection of classes (&&)");
            std::optional<Set> set = peek() == '\\' ? escaped_set() : peek() == '[' ? posix_class() : std::nullopt;
            if (set) {
                (set->complement ? complements.emplace_back() : members) += set->inside;
            } else if (peek() == '\\') {
                members += escaped_character();
            } else if (peek() == '[') {
                refuse("a class inside a class");
            } else {
                members += in_[at_++];
            }
        }
        ++at_;
        return joined(members, complements, negated);
    }

    static std::string joined(const std::string& members, const std::vector<std::string>& complements, bool negated) {
        if (complements.empty()) return fmt::format("[{}{}]", negated ? "^" : "", members);
        std::string out = "(?:";
        if (!negated) {
            if (!members.empty()) out += fmt::format("[{}]|", members);
            for (std::size_t i = 0; i < complements.size(); ++i) out += fmt::format("{}[^{}]", i > 0 ? "|" : "", complements[i]);
        } else {
            if (!members.empty()) out += fmt::format("(?![{}])", members);
            for (std::size_t i = 1; i < complements.size(); ++i) out += fmt::format("(?=[{}])", complements[i]);
            out += fmt::format("[{}]", complements[0]);
        }
        return out + ")";
    }

    std::string_view in_;
    const std::string& where_;
    std::string out_;
    std::size_t at_ = 0, atom_ = 0;
    std::vector<std::size_t> groups_;
};

}  // namespace

std::string translate_regex(std::string_view pattern, const std::string& where) { return Translator(pattern, where).run(); }

}  // namespace tandem
