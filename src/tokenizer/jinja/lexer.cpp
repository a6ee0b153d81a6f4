#include "src/tokenizer/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <string_view>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/python_text.h"
#include "src/tokenizer/jinja/string_literal.h"
#include "src/tokenizer/unicode.h"

namespace tandem::jinja {

namespace {

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool begins_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string with_unix_newlines(const std::string& source) {
    std::string out;
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] != '\r') out.push_back(source[i]);
        else if (i + 1 == source.size() || source[i + 1] != '\n') out.push_back('\n');
    }
    if (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

class Lexer {
public:
    Lexer(const std::string& source, const std::string& origin) : source_(with_unix_newlines(source)), origin_(origin) {}

    std::vector<Token> run() {
        if (unicode::find_invalid_utf8(source_)) refuse("the template is not valid UTF-8");
        while (at_ < source_.size()) text_and_tag();
        put(TokenKind::End, "the end of the template");
        return std::move(tokens_);
    }

private:
    [[noreturn]] void refuse(std::string_view what) const { fail(Failure::Input, "{}:{}: {}", origin_, line_, what); }
    [[nodiscard]] std::string_view rest() const { return std::string_view(source_).substr(at_); }
    [[nodiscard]] bool next_is(std::string_view s) const { return rest().starts_with(s); }
    [[nodiscard]] char sign_at(std::size_t at) const {
        return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
    }

    void put(TokenKind kind, std::string text) {
        Token token;
        token.kind = kind;
        token.text = std::move(text);
        token.line = line_;
        tokens_.push_back(std::move(token));
    }

    void advance(std::size_t count) {
        const auto skipped = rest().substr(0, count);
        line_ += static_cast<int>(std::count(skipped.begin(), skipped.end(), '\n'));
        at_ += count;
    }

    void skip_space() {
        while (at_ < source_.size() && python::is_space(unicode::decode(source_, at_))) advance(unicode::length_of(source_[at_]));
    }

    /// The text before a tag, less what the tag takes of its white space, then the tag.
    void text_and_tag() {
        std::size_t tag = at_;
        while ((tag = source_.find('{', tag)) != std::string::npos) {
            const char next = tag + 1 < source_.size() ? source_[tag + 1] : '\0';
            if (next == '{' || next == '%' || next == '#') break;
            ++tag;
        }
        if (tag == std::string::npos) {
            put(TokenKind::Data, std::string(rest()));
            return advance(rest().size());
        }
        const char kind = source_[tag + 1], sign = sign_at(tag + 2);
        std::string text = before_tag(source_.substr(at_, tag - at_), sign, kind == '{');
        if (!text.empty()) put(TokenKind::Data, std::move(text));
        advance(tag - at_ + (sign != '\0' ? 3 : 2));
        if (kind == '#') return comment();
        if (kind == '%' && bare_tag(at_, "raw")) return raw();
        put(kind == '{' ? TokenKind::VariableBegin : TokenKind::BlockBegin, kind == '{' ? "{{" : "{%");
        inside_tag(kind == '{' ? "}}" : "%}");
    }

    [[nodiscard]] std::string before_tag(std::string text, char sign, bool variable) const {
        if (sign == '-') return python::strip(text, python::Side::Right);
        if (sign == '+' || variable) return text;
        const std::size_t newline = text.rfind('\n');
        if (newline == std::string::npos && !line_starting_) return text;
        const std::size_t line_begin = newline == std::string::npos ? 0 : newline + 1;
        if (python::strip(std::string_view(text).substr(line_begin), python::Side::Both).empty()) text.resize(line_begin);
        return text;
    }

    /// After a tag: with -, all white space goes; else one newline after a block or comment, unless + keeps it.
    void close_tag(char sign, std::size_t length, bool variable) {
        advance(length);
        const std::size_t before = at_;
        if (sign == '-') skip_space();
        else if (sign != '+' && !variable && next_is("\n")) advance(1);
        line_starting_ = at_ > before && source_[at_ - 1] == '\n';
    }

    /// Whether `end` is next, maybe after - or +; closes the tag if so.
    bool at_end_of_tag(std::string_view end) {
        const bool variable = end == "}}";
        const char sign = sign_at(at_);
        const bool signed_end = (sign == '-' || (sign == '+' && !variable)) && rest().substr(1).starts_with(end);
        if (!signed_end && !next_is(end)) return false;
        put(variable ? TokenKind::VariableEnd : TokenKind::BlockEnd, std::string(end));
        close_tag(signed_end ? sign : '\0', signed_end ? 3 : 2, variable);
        return true;
    }

    void comment() {
        const std::size_t end = source_.find("#}", at_);
        if (end == std::string::npos) refuse("a comment does not end");
        const char sign = end > at_ ? sign_at(end - 1) : '\0';
        advance(end - at_);
        close_tag(sign, 2, false);
    }

    /// Where `raw %}` or `endraw %}` ends that begins at `from`, and its sign.
    [[nodiscard]] std::optional<std::pair<std::size_t, char>> bare_tag(std::size_t from, std::string_view name) const {
        const auto space = [&](std::size_t i) {
            while (i < source_.size() && std::isspace(static_cast<unsigned char>(source_[i])) != 0) ++i;
            return i;
        };
        std::size_t i = space(from);
        if (source_.compare(i, name.size(), name) != 0) return std::nullopt;
        i = space(i + name.size());
        const char sign = sign_at(i);
        i += sign != '\0' ? 1 : 0;
        if (i > source_.size() || source_.compare(i, 2, "%}") != 0) return std::nullopt;
        return std::pair(i + 2, sign);
    }

    void raw() {
        const auto open = *bare_tag(at_, "raw");
        advance(open.first - at_);
        if (open.second == '-') skip_space();
        line_starting_ = false;
        for (std::size_t tag = at_; (tag = source_.find("{%", tag)) != std::string::npos; ++tag) {
            const char sign = sign_at(tag + 2);
            const auto close = bare_tag(tag + (sign != '\0' ? 3 : 2), "endraw");
            if (!close) continue;
            std::string text = before_tag(source_.substr(at_, tag - at_), sign, false);
            if (!text.empty()) put(TokenKind::Data, std::move(text));
            advance(close->first - at_);
            return close_tag(close->second, 0, false);
        }
        refuse("a raw block does not end");
    }

    void inside_tag(std::string_view end) {
        std::string open;  // brackets that must close first
        for (;;) {
            skip_space();
            if (at_ >= source_.size()) refuse(fmt::format("a tag does not end with {}", end));
            if (open.empty() && at_end_of_tag(end)) return;
            const char c = source_[at_];
            if (is_digit(c)) number();
            else if (begins_name(c)) name();
            else if (c == '"' || c == '\'') string();
            else operation(open);
        }
    }

    void name() {
        std::size_t length = 0;
        while (length < rest().size() && (begins_name(rest()[length]) || is_digit(rest()[length]))) ++length;
        put(TokenKind::Name, std::string(rest().substr(0, length)));
        advance(length);
    }

    void number() {
        std::string digits;
        const auto take = [&](auto accepts) {
            for (; at_ < source_.size() && (accepts(source_[at_]) || source_[at_] == '_'); ++at_) {
                if (source_[at_] != '_') digits.push_back(source_[at_]);
            }
        };
        const char kind = rest().size() > 1 ? static_cast<char>(std::tolower(static_cast<unsigned char>(rest()[1]))) : '\0';
        const int base = !next_is("0") ? 10 : kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
        if (base != 10) {
            at_ += 2;
            take([](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
            return put_integer(digits, base);
        }
        take(is_digit);
        const bool fraction = next_is(".") && rest().size() > 1 && is_digit(rest()[1]);
        if (fraction) {
            digits.push_back(source_[at_++]);
            take(is_digit);
        }
        const bool exponent = exponent_follows();
        if (exponent) {
            digits.push_back(source_[at_++]);
            if (sign_at(at_) != '\0') digits.push_back(source_[at_++]);
            take(is_digit);
        }
        if (!fraction && !exponent) return put_integer(digits, base);
        put(TokenKind::Float, digits);
        tokens_.back().number = std::strtod(digits.c_str(), nullptr);
    }

    void put_integer(const std::string& digits, int base) {
        put(TokenKind::Integer, digits);
        const char* last = digits.data() + digits.size();
        const auto parsed = std::from_chars(digits.data(), last, tokens_.back().integer, base);
        if (parsed.ec != std::errc() || parsed.ptr != last) refuse(fmt::format("the integer {} is not valid or too large", digits));
    }

    [[nodiscard]] bool exponent_follows() const {
        if (!next_is("e") && !next_is("E")) return false;
        const std::size_t digit = sign_at(at_ + 1) != '\0' ? 2 : 1;
        return rest().size() > digit && is_digit(rest()[digit]);
    }

    void string() {
        const char quote = source_[at_];
        std::size_t end = at_ + 1;
        while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
        if (end >= source_.size()) refuse("a string does not end");
        const auto value = unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1));
        if (!value) refuse(fmt::format("the escape in {} is not valid", source_.substr(at_, end + 1 - at_)));
        put(TokenKind::String, *value);
        advance(end + 1 - at_);
    }

    void operation(std::string& open) {
        static constexpr std::array<std::string_view, 26> kOperators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "*",
                                                                        "/",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                                        ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
        const auto* found = std::find_if(kOperators.begin(), kOperators.end(), [&](std::string_view op) { return next_is(op); });
        if (found == kOperators.end()) refuse(fmt::format("unexpected character {}", rest().substr(0, unicode::length_of(source_[at_]))));
        const char c = found->front();
        if (c == '(' || c == '[' || c == '{') open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
        if (c == ')' || c == ']' || c == '}') {
            if (open.empty() || open.back() != c) refuse(fmt::format("unexpected {}", *found));
            open.pop_back();
        }
        put(TokenKind::Operator, std::string(*found));
        advance(found->size());
    }

    std::string source_;
    const std::string& origin_;
    std::vector<Token> tokens_;
    std::size_t at_ = 0;
    int line_ = 1;
    bool line_starting_ = true;
};

}  // namespace

std::vector<Token> tokenize(const std::string& source, const std::string& origin) { return Lexer(source, origin).run(); }

}  // namespace tandem::jinja
