#include "src/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <functional>

#include "src/tokenizer/regex.h"
#include "src/tokenizer/unicode.h"

namespace tandem {

namespace {

/// NFC, NFD, NFKC, NFKD (Unicode Standard Annex 15) by parts that do not interact: a part begins at a character that neither
/// reorders with nor composes with what is before it. Bytes of a changed part come from the whole part.
class UnicodeForm final : public Normalizer {
public:
    explicit UnicodeForm(utf8proc_option_t options) : options_(options) {}

    [[nodiscard]] AlignedText apply(const AlignedText& in) const override {
        AlignedText out;
        const std::string_view text = in.text;
        for (std::size_t begin = 0; begin < text.size();) {
            std::size_t end = begin;
            while (end < text.size() && static_cast<unsigned char>(text[end]) < 0x80 && !joins_previous(text, end + 1)) ++end;
            if (end > begin) {
                out.append(in, begin, end);
            } else {
                const bool opaque = unicode::is_opaque_to_normalization(unicode::decode(text, begin));
                end = begin + unicode::length_of(text[begin]);
                while (!opaque && end < text.size() && joins_previous(text, end)) end += unicode::length_of(text[end]);
                append_part(in, begin, end, opaque, out);
            }
            begin = end;
        }
        return out;
    }

private:
    void append_part(const AlignedText& in, std::size_t begin, std::size_t end, bool opaque, AlignedText& out) const {
        const std::string_view part = std::string_view(in.text).substr(begin, end - begin);
        if (opaque || stays(part)) return out.append(in, begin, end);
        const std::string changed = normalized(part);
        if (changed == part) return out.append(in, begin, end);
        out.append(changed, {in.origin(begin).begin, in.origin(end - 1).end});
    }

    /// A single character that is its own decomposition: most of what is not Latin.
    [[nodiscard]] bool stays(std::string_view part) const {
        if (part.size() != unicode::length_of(part[0])) return false;
        utf8proc_int32_t first[4];
        int boundary = 0;
        const auto c = static_cast<utf8proc_int32_t>(unicode::decode(part, 0));
        return utf8proc_decompose_char(c, first, 4, options_, &boundary) == 1 && first[0] == c;
    }

    [[nodiscard]] std::string normalized(std::string_view part) const {
        utf8proc_uint8_t* mapped = nullptr;
        const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(part.data()), static_cast<utf8proc_ssize_t>(part.size()),
                                       &mapped, options_);
        if (size < 0) fail(Failure::Run, "Unicode normalization failed: {}", utf8proc_errmsg(size));
        std::string out(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size));
        std::free(mapped);
        return out;
    }

    /// Marks, Hangul vowels and final consonants, and what decomposes to one of them at its beginning.
    [[nodiscard]] bool joins_previous(std::string_view text, std::size_t at) const {
        if (at >= text.size() || static_cast<unsigned char>(text[at]) < 0xCC) return false;  // below U+0300
        const char32_t c = unicode::decode(text, at);
        if (unicode::is_opaque_to_normalization(c)) return false;
        utf8proc_int32_t first[32];
        int boundary = 0;
        const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), first, 32, options_, &boundary);
        const char32_t lead = count > 0 && count <= 32 ? static_cast<char32_t>(first[0]) : c;
        return unicode::is_mark(lead) || (lead >= 0x1160 && lead <= 0x11FF);
    }

    utf8proc_option_t options_;
};

class Mapped final : public Normalizer {
public:
    using Map = std::function<void(char32_t, std::string&)>;
    explicit Mapped(Map map) : map_(std::move(map)) {}
    [[nodiscard]] AlignedText apply(const AlignedText& in) const override {
        AlignedText out;
        std::string mapped;
        unicode::for_each(in.text, [&](char32_t c, std::size_t at, std::size_t) {
            mapped.clear();
            map_(c, mapped);
            if (!mapped.empty()) out.append(mapped, in.origin(at));
        });
        return out;
    }

private:
    Map map_;
};

class Prepend final : public Normalizer {
public:
    explicit Prepend(std::string text) : text_(std::move(text)) {}
    [[nodiscard]] AlignedText apply(const AlignedText& in) const override {
        AlignedText out;
        if (in.text.empty()) return out;
        out.append(text_, in.origin(0));
        out.append(in, 0, in.text.size());
        return out;
    }

private:
    std::string text_;
};

class Replace final : public Normalizer {
public:
    Replace(Regex regex, std::string content) : regex_(std::move(regex)), content_(std::move(content)) {}
    [[nodiscard]] AlignedText apply(const AlignedText& in) const override { return replace_matches(in, regex_, content_); }

private:
    Regex regex_;
    std::string content_;
};

class Strip final : public Normalizer {
public:
    Strip(bool left, bool right) : left_(left), right_(right) {}
    [[nodiscard]] AlignedText apply(const AlignedText& in) const override {
        const std::string_view text = in.text;
        std::size_t begin = 0, end = text.size();
        while (left_ && begin < end && unicode::is_white_space(unicode::decode(text, begin))) begin += unicode::length_of(text[begin]);
        while (right_ && end > begin && unicode::is_white_space(unicode::decode(text, unicode::previous(text, end)))) {
            end = unicode::previous(text, end);
        }
        AlignedText out;
        out.append(in, begin, end);
        return out;
    }

private:
    bool left_, right_;
};

class ByteLevel final : public Normalizer {
public:
    [[nodiscard]] AlignedText apply(const AlignedText& in) const override { return to_byte_level(in, 0, in.text.size()); }
};

class Sequence final : public Normalizer {
public:
    explicit Sequence(std::vector<std::unique_ptr<Normalizer>> parts) : parts_(std::move(parts)) {}
    [[nodiscard]] AlignedText apply(const AlignedText& in) const override {
        AlignedText text = in;
        for (const auto& part : parts_) text = part->apply(text);
        return text;
    }

private:
    std::vector<std::unique_ptr<Normalizer>> parts_;
};

std::unique_ptr<Normalizer> make_form(const std::string& type) {
    unsigned options = UTF8PROC_STABLE | (type.back() == 'C' ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (type[2] == 'K') options |= UTF8PROC_COMPAT;
    return std::make_unique<UnicodeForm>(static_cast<utf8proc_option_t>(options));
}

}  // namespace

AlignedText to_byte_level(const AlignedText& text, std::size_t begin, std::size_t end) {
    AlignedText out;
    out.text.reserve((end - begin) * 2);
    std::string character;
    for (std::size_t i = begin; i < end; ++i) {
        character.clear();
        unicode::append(character, unicode::byte_to_character(static_cast<unsigned char>(text.text[i])));
        out.append(character, text.origin(i));
    }
    return out;
}

AlignedText replace_matches(const AlignedText& text, const Regex& regex, std::string_view content) {
    AlignedText out;
    std::size_t copied = 0;
    regex.for_each_match(text.text, [&](std::size_t begin, std::size_t end) {
        out.append(text, copied, begin);
        // As the library has it: the new text belongs to the last character that it replaces.
        out.append(content, end > 0 ? text.origin(end - 1) : Origin{});
        copied = end;
    });
    out.append(text, copied, text.text.size());
    return out;
}

Regex make_pattern(const Json& owner, const std::filesystem::path& file) {
    const auto pattern = get<Json>(owner, "pattern", file);
    if (pattern.is_object() && pattern.size() == 1) {
        if (pattern.contains("String")) return {escape_regex(get<std::string>(pattern, "String", file)), file.string()};
        if (pattern.contains("Regex")) return {get<std::string>(pattern, "Regex", file), file.string()};
    }
    fail(Failure::Input, R"({}: a "pattern" must be {{"String": ...}} or {{"Regex": ...}}, found {})", file.string(), dump_json(pattern));
}

std::unique_ptr<Normalizer> make_normalizer(const Json& json, const std::filesystem::path& file) {
    if (json.is_null()) return nullptr;
    const auto type = get<std::string>(json, "type", file);
    if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") return make_form(type);
    if (type == "Lowercase") return std::make_unique<Mapped>([](char32_t c, std::string& out) { unicode::append_lowercase(out, c); });
    if (type == "StripAccents") {
        return std::make_unique<Mapped>([](char32_t c, std::string& out) {
            if (!unicode::is_mark(c)) unicode::append(out, c);
        });
    }
    if (type == "Prepend") return std::make_unique<Prepend>(get<std::string>(json, "prepend", file));
    if (type == "Replace") return std::make_unique<Replace>(make_pattern(json, file), get<std::string>(json, "content", file));
    if (type == "Strip") return std::make_unique<Strip>(get<bool>(json, "strip_left", file), get<bool>(json, "strip_right", file));
    if (type == "ByteLevel") return std::make_unique<ByteLevel>();
    if (type == "Sequence") {
        std::vector<std::unique_ptr<Normalizer>> parts;
        for (const auto& part : get<std::vector<Json>>(json, "normalizers", file)) parts.push_back(make_normalizer(part, file));
        std::erase(parts, nullptr);
        return std::make_unique<Sequence>(std::move(parts));
    }
    fail(Failure::Input, "{}: the normalizer {} is not supported", file.string(), type);
}

}  // namespace tandem
