#include "src/tokenizer/jinja/python_text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cmath>

#include "src/tokenizer/unicode.h"

namespace tandem::jinja::python {

bool is_space(char32_t c) { return unicode::is_white_space(c) || (c >= 0x1C && c <= 0x1F); }
bool is_alpha(char32_t c) { return unicode::category(c)[0] == 'L'; }
bool is_digit(char32_t c) { return unicode::category(c) == "Nd"; }
bool is_cased(char32_t c) {
    const auto kind = unicode::category(c);
    return kind == "Lu" || kind == "Ll" || kind == "Lt";
}

namespace {

void append_upper(std::string& out, char32_t c) {
    if (c == 0xDF) out += "SS";
    else unicode::append(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

void append_title(std::string& out, char32_t c) {
    if (c == 0xDF) out += "Ss";
    else unicode::append(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
}

}  // namespace

std::string lower(std::string_view text) {
    std::string out;
    char32_t before = 0;
    unicode::for_each(text, [&](char32_t c, std::size_t at, std::size_t length) {
        const std::size_t next = at + length;
        const bool ends_word = c == 0x3A3 && is_cased(before) && (next >= text.size() || !is_cased(unicode::decode(text, next)));
        if (ends_word) out += "\xCF\x82";  // the sigma at the end of a word
        else unicode::append_lowercase(out, c);
        before = c;
    });
    return out;
}

std::string upper(std::string_view text) {
    std::string out;
    unicode::for_each(text, [&](char32_t c, std::size_t, std::size_t) { append_upper(out, c); });
    return out;
}

std::string capitalize(std::string_view text) {
    if (text.empty()) return "";
    std::string out;
    append_title(out, unicode::decode(text, 0));
    return out + lower(text.substr(unicode::length_of(text[0])));
}

std::string title(std::string_view text) {
    std::string out;
    bool inside = false;
    unicode::for_each(text, [&](char32_t c, std::size_t, std::size_t) {
        if (inside) unicode::append_lowercase(out, c);
        else append_title(out, c);
        inside = is_cased(c);
    });
    return out;
}

std::string strip(std::string_view text, Side side, const std::optional<std::string>& characters) {
    const auto stripped = [&](std::string_view character) {
        return characters ? characters->find(character) != std::string::npos : is_space(unicode::decode(character, 0));
    };
    if ((static_cast<int>(side) & 1) != 0) {
        while (!text.empty() && stripped(text.substr(0, unicode::length_of(text[0])))) text.remove_prefix(unicode::length_of(text[0]));
    }
    if ((static_cast<int>(side) & 2) != 0) {
        while (!text.empty() && stripped(text.substr(unicode::previous(text, text.size())))) {
            text.remove_suffix(text.size() - unicode::previous(text, text.size()));
        }
    }
    return std::string(text);
}

std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator, std::int64_t most) {
    std::vector<std::string> out;
    const auto full = [&] { return most >= 0 && static_cast<std::int64_t>(out.size()) >= most; };
    if (separator) {
        std::size_t at = 0;
        while (!full() && (at = text.find(*separator)) != std::string_view::npos) {
            out.emplace_back(text.substr(0, at));
            text.remove_prefix(at + separator->size());
        }
        out.emplace_back(text);
        return out;
    }
    std::string rest = strip(text, Side::Left);
    while (!rest.empty()) {
        std::size_t end = 0;
        while (end < rest.size() && !is_space(unicode::decode(rest, end))) end += unicode::length_of(rest[end]);
        if (full()) end = rest.size();
        out.push_back(full() ? strip(rest, Side::Right) : rest.substr(0, end));
        rest = strip(std::string_view(rest).substr(end), Side::Left);
    }
    return out;
}

std::vector<std::string> split_from_right(std::string_view text, const std::optional<std::string>& separator, std::int64_t most) {
    if (most < 0) return split(text, separator, most);
    std::vector<std::string> out;
    const auto full = [&] { return static_cast<std::int64_t>(out.size()) >= most; };
    if (separator) {
        std::size_t at = 0;
        while (!full() && (at = text.rfind(*separator)) != std::string_view::npos) {
            out.emplace_back(text.substr(at + separator->size()));
            text = text.substr(0, at);
        }
        out.emplace_back(text);
    } else {
        std::string rest = strip(text, Side::Right);
        while (!rest.empty()) {
            std::size_t begin = rest.size();
            while (begin > 0 && !is_space(unicode::decode(rest, unicode::previous(rest, begin)))) begin = unicode::previous(rest, begin);
            if (full()) begin = 0;
            out.push_back(full() ? strip(rest, Side::Left) : rest.substr(begin));
            rest = strip(std::string_view(rest).substr(0, begin), Side::Right);
        }
    }
    std::reverse(out.begin(), out.end());
    return out;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
    std::vector<std::string> out;
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = unicode::decode(text, at);
        const std::size_t end = at;
        at += unicode::length_of(text[at]);
        const bool breaks = (c >= 0xA && c <= 0xD) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
        if (!breaks) continue;
        if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
        out.emplace_back(text.substr(begin, (keep_ends ? at : end) - begin));
        begin = at;
    }
    if (begin < text.size()) out.emplace_back(text.substr(begin));
    return out;
}

std::string replace(std::string_view text, std::string_view old, std::string_view with, std::int64_t most) {
    std::string out;
    std::int64_t done = 0;
    if (old.empty()) {  // between all characters
        unicode::for_each(text, [&](char32_t, std::size_t at, std::size_t length) {
            if (most < 0 || done++ < most) out += with;
            out += text.substr(at, length);
        });
        if (most < 0 || done < most) out += with;
        return out;
    }
    for (std::size_t at = 0; (most < 0 || done < most) && (at = text.find(old)) != std::string_view::npos; ++done) {
        out += text.substr(0, at);
        out += with;
        text.remove_prefix(at + old.size());
    }
    out += text;
    return out;
}

std::string float_repr(double x) {
    if (std::isnan(x)) return "nan";
    if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
    std::string out = fmt::format("{}", x);
    return out.find_first_of(".e") == std::string::npos ? out + ".0" : out;
}

std::string string_repr(std::string_view text) {
    const bool double_quotes = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
    const char quote = double_quotes ? '"' : '\'';
    std::string out(1, quote);
    unicode::for_each(text, [&](char32_t c, std::size_t at, std::size_t length) {
        const auto code = static_cast<unsigned>(c);
        const auto kind = unicode::category(c);
        if (c == static_cast<unsigned char>(quote) || c == '\\') out += fmt::format("\\{}", static_cast<char>(c));
        else if (c == '\n') out += "\\n";
        else if (c == '\r') out += "\\r";
        else if (c == '\t') out += "\\t";
        else if (c != ' ' && (kind[0] == 'C' || kind[0] == 'Z')) {
            out += code < 0x100     ? fmt::format("\\x{:02x}", code)
                   : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                                    : fmt::format("\\U{:08x}", code);
        } else out += text.substr(at, length);
    });
    out.push_back(quote);
    return out;
}

}  // namespace tandem::jinja::python
