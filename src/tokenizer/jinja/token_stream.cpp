#include "src/tokenizer/jinja/token_stream.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace tandem::jinja {

bool TokenStream::is_name(std::initializer_list<std::string_view> texts) const {
    return is(TokenKind::Name) && std::find(texts.begin(), texts.end(), current().text) != texts.end();
}

bool TokenStream::skip_operator(std::string_view text) {
    if (!is_operator(text)) return false;
    take();
    return true;
}

bool TokenStream::skip_name(std::string_view text) {
    if (!is_name(text)) return false;
    take();
    return true;
}

Token TokenStream::expect(TokenKind kind, std::string_view what) {
    if (!is(kind)) refuse(fmt::format("expected {}, found {}", what, current().text));
    return take();
}

void TokenStream::expect_operator(std::string_view text) {
    if (!skip_operator(text)) refuse(fmt::format("expected {}, found {}", text, current().text));
}

void TokenStream::expect_name(std::string_view text) {
    if (!skip_name(text)) refuse(fmt::format("expected {}, found {}", text, current().text));
}

void TokenStream::refuse(std::string_view what) const { refuse(current().line, what); }
void TokenStream::refuse(int line, std::string_view what) const { fail(Failure::Input, "{}:{}: {}", origin_, line, what); }

}  // namespace tandem::jinja
