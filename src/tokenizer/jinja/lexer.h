// A template's source cut into tokens, with Jinja2's rules for white space around tags (trim_blocks and lstrip_blocks are on,
// as transformers sets them; a single newline at the end of the source is dropped).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tandem::jinja {

enum class TokenKind { Data, VariableBegin, VariableEnd, BlockBegin, BlockEnd, Name, String, Integer, Float, Operator, End };

struct Token {
    TokenKind kind = TokenKind::End;
    std::string text;  ///< of a string its value, escapes resolved
    int line = 0;
    std::int64_t integer = 0;
    double number = 0;
};

/// `origin` is what messages call the template. Throws Input naming origin and line.
[[nodiscard]] std::vector<Token> tokenize(const std::string& source, const std::string& origin);

}  // namespace tandem::jinja
