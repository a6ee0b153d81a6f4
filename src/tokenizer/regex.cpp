#define PCRE2_CODE_UNIT_WIDTH 8
#include "src/tokenizer/regex.h"

#include <pcre2.h>

#include "kernels/base/error.h"
#include "src/tokenizer/unicode.h"

namespace tandem {

namespace {

std::string reason(int code) {
    PCRE2_UCHAR buffer[256];
    return pcre2_get_error_message(code, buffer, sizeof buffer) < 0 ? fmt::format("error {}", code) : reinterpret_cast<const char*>(buffer);
}

/// What a thread needs to match with; only the bounds of the whole match are kept.
struct Matcher {
    pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
    pcre2_match_context* context = pcre2_match_context_create(nullptr);
    Matcher() {
        if (data == nullptr || context == nullptr) throw std::bad_alloc();
        pcre2_set_match_limit(context, 1U << 31U);
        pcre2_set_heap_limit(context, 1U << 20U);  // KiB
    }
    ~Matcher() {
        pcre2_match_data_free(data);
        pcre2_match_context_free(context);
    }
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;
};

Matcher& matcher() {
    static thread_local Matcher instance;
    return instance;
}

pcre2_code* compile(const std::string& pattern, int& error, std::size_t& offset) {
    std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(pcre2_compile_context_create(nullptr),
                                                                                     pcre2_compile_context_free);
    if (!context) throw std::bad_alloc();
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    constexpr std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    return pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &error, &offset, context.get());
}

}  // namespace

Regex::Regex(std::string_view pattern, const std::string& where) : where_(where) {
    int error = 0;
    std::size_t offset = 0;
    pcre2_code* code = compile(translate_regex(pattern, where), error, offset);
    if (code == nullptr) fail(Failure::Input, "{}: the regular expression {} cannot be used: {}", where, pattern, reason(error));
    code_ = std::shared_ptr<const void>(code, [](const void* p) { pcre2_code_free(static_cast<pcre2_code*>(const_cast<void*>(p))); });
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where there is no JIT the interpreter runs
}

bool Regex::search(std::string_view text, std::size_t from, std::pair<std::size_t, std::size_t>& match) const {
    const auto* code = static_cast<const pcre2_code*>(code_.get());
    Matcher& m = matcher();
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int rc = pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, m.data, m.context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        rc = pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m.data, m.context);
    }
    if (rc == PCRE2_ERROR_NOMATCH) return false;
    if (rc < 0) fail(Failure::Input, "{}: matching a text of {} bytes failed: {}", where_, text.size(), reason(rc));
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(m.data);
    match = {bounds[0], bounds[1]};
    return true;
}

std::size_t Regex::next_character(std::string_view text, std::size_t at) {
    return at < text.size() ? at + unicode::length_of(text[at]) : at + 1;
}

std::string escape_regex(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::string_view("\\.+*?()|[]{}^$#&-~").find(c) != std::string_view::npos) out.push_back('\\');
        out.push_back(c);
    }
    return out;
}

}  // namespace tandem
