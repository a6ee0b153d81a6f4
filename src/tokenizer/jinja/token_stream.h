// The parser's view of the tokens.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "src/tokenizer/jinja/lexer.h"

namespace tandem::jinja {

class TokenStream {
public:
    TokenStream(std::vector<Token> tokens, const std::string& origin) : tokens_(std::move(tokens)), origin_(origin) {}

    [[nodiscard]] const Token& current() const { return tokens_[at_]; }
    [[nodiscard]] const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
    Token take() {
        Token token = tokens_[at_];
        if (at_ + 1 < tokens_.size()) ++at_;
        return token;
    }
    [[nodiscard]] bool is(TokenKind kind) const { return current().kind == kind; }
    [[nodiscard]] bool is_operator(std::string_view text) const { return is(TokenKind::Operator) && current().text == text; }
    [[nodiscard]] bool is_name(std::string_view text) const { return is(TokenKind::Name) && current().text == text; }
    [[nodiscard]] bool is_name(std::initializer_list<std::string_view> texts) const;
    bool skip_operator(std::string_view text);
    bool skip_name(std::string_view text);
    Token expect(TokenKind kind, std::string_view what);
    void expect_operator(std::string_view text);
    void expect_name(std::string_view text);
    [[noreturn]] void refuse(std::string_view what) const;
    [[noreturn]] void refuse(int line, std::string_view what) const;

private:
    std::vector<Token> tokens_;
    const std::string& origin_;
    std::size_t at_ = 0;
};

}  // namespace tandem::jinja
