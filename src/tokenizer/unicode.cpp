#include "src/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace tandem::unicode {

namespace {

struct Range {
    char32_t first, last;
};

template <std::size_t N>
bool within(const Range (&ranges)[N], char32_t character) {
    const auto* found =
        std::upper_bound(std::begin(ranges), std::end(ranges), character, [](char32_t c, const Range& r) { return c < r.first; });
    return found != std::begin(ranges) && character <= (found - 1)->last;
}

const Addition* find_addition(char32_t character) {
    const auto table = additions();
    auto found = std::upper_bound(table.begin(), table.end(), character, [](char32_t c, const Addition& a) { return c < a.first; });
    if (found == table.begin() || character > (--found)->last) return nullptr;
    return &*found;
}

/// Length of the valid sequence at `at`, or 0; `bad` gets the length of the maximal invalid part (Unicode 16, table 3-7).
std::size_t sequence_length(std::string_view text, std::size_t at, std::size_t& bad) {
    const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const unsigned lead = byte(at);
    bad = 1;
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (std::size_t i = 1; i < length; ++i, ++bad) {
        const unsigned next = byte(at + i);
        if (next < (i == 1 ? low : 0x80U) || next > (i == 1 ? high : 0xBFU)) return 0;
    }
    return length;
}

}  // namespace

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
    std::size_t bad = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = sequence_length(text, at, bad);
        if (length == 0) return at;
        at += length;
    }
    return std::nullopt;
}

std::string replace_invalid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    std::size_t bad = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = sequence_length(text, at, bad);
        out.append(length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(at, length));
        at += length == 0 ? bad : length;
    }
    return out;
}

char32_t decode(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
    switch (length_of(text[at])) {
        case 1: return byte(0);
        case 2: return (byte(0) & 0x1FU) << 6U | (byte(1) & 0x3FU);
        case 3: return (byte(0) & 0x0FU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU);
        default: return (byte(0) & 0x07U) << 18U | (byte(1) & 0x3FU) << 12U | (byte(2) & 0x3FU) << 6U | (byte(3) & 0x3FU);
    }
}

std::size_t previous(std::string_view text, std::size_t end) {
    do --end;
    while (end > 0 && is_continuation(text[end]));
    return end;
}

std::size_t count_characters(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

void append(std::string& text, char32_t c) {
    const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0U | c >> 6U), put(0x80U | (c & 0x3FU));
    } else if (c < 0x10000) {
        put(0xE0U | c >> 12U), put(0x80U | (c >> 6U & 0x3FU)), put(0x80U | (c & 0x3FU));
    } else {
        put(0xF0U | c >> 18U), put(0x80U | (c >> 12U & 0x3FU)), put(0x80U | (c >> 6U & 0x3FU)), put(0x80U | (c & 0x3FU));
    }
}

std::string_view category(char32_t character) {
    if (const Addition* added = find_addition(character)) return {added->category, 2};
    return utf8proc_category_string(static_cast<utf8proc_int32_t>(character));
}

bool is_white_space(char32_t c) {
    return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_numeric(char32_t c) {
    if (c < 0x80) return c >= '0' && c <= '9';
    // Unicode 17's digits and letters for numbers, which the library's language already knows.
    return category(c)[0] == 'N' || (c >= 0x11DE0 && c <= 0x11DE9) || (c >= 0x16FF4 && c <= 0x16FF6);
}

bool is_punctuation(char32_t c) {
    if (c < 0x80) return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
    // The library's table is that of Unicode 7: later punctuation is not in it.
    static constexpr Range kLater[] = {{0x61d, 0x61d},     {0x9fd, 0x9fd},     {0xa76, 0xa76},     {0xc77, 0xc77},     {0xc84, 0xc84},
                                       {0x1b4e, 0x1b4f},   {0x1b7d, 0x1b7f},   {0x2e43, 0x2e4f},   {0x2e52, 0x2e5d},   {0x10d6e, 0x10d6e},
                                       {0x10ead, 0x10ead}, {0x10f55, 0x10f59}, {0x10f86, 0x10f89}, {0x113d4, 0x113d5}, {0x113d7, 0x113d8},
                                       {0x1144b, 0x1144f}, {0x1145a, 0x1145b}, {0x1145d, 0x1145d}, {0x11660, 0x1166c}, {0x116b9, 0x116b9},
                                       {0x1183b, 0x1183b}, {0x11944, 0x11946}, {0x119e2, 0x119e2}, {0x11a3f, 0x11a46}, {0x11a9a, 0x11a9c},
                                       {0x11a9e, 0x11aa2}, {0x11b00, 0x11b09}, {0x11be1, 0x11be1}, {0x11c41, 0x11c45}, {0x11c70, 0x11c71},
                                       {0x11ef7, 0x11ef8}, {0x11f43, 0x11f4f}, {0x11fff, 0x11fff}, {0x12ff1, 0x12ff2}, {0x16d6d, 0x16d6f},
                                       {0x16e97, 0x16e9a}, {0x16fe2, 0x16fe2}, {0x1e5ff, 0x1e5ff}, {0x1e95e, 0x1e95f}};
    return (category(c)[0] == 'P' && !within(kLater, c)) || c == 0x166D || c == 0x111C9;
}

bool is_word(char32_t c) {
    if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    static constexpr Range kOther[] = {{0x200c, 0x200d}, {0x24b6, 0x24e9}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};
    const std::string_view kind = category(c);
    return kind[0] == 'L' || kind[0] == 'M' || kind == "Nd" || kind == "Nl" || kind == "Pc" || within(kOther, c);
}

bool is_mark(char32_t c) { return c >= 0x300 && category(c)[0] == 'M'; }

bool is_opaque_to_normalization(char32_t c) {
    if (c < 0x32FF) return c >= 0x897 && find_addition(c) != nullptr;
    static constexpr Range kOpaque[] = {{0x32ff, 0x32ff},   {0xa7f2, 0xa7f4},   {0xab69, 0xab69},  {0x10781, 0x107ba},
                                        {0x11930, 0x11938}, {0x1f16c, 0x1f16c}, {0x1fbf0, 0x1fbf9}};
    return within(kOpaque, c) || find_addition(c) != nullptr;
}

void append_lowercase(std::string& text, char32_t c) {
    if (c < 0x80) {
        text.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
        return;
    }
    struct Shift {
        char32_t first, last;
        std::int32_t offset;
        bool pairs;  // upper and lower alternate
    };
    // Case pairs that Unicode 15 to 17 added.
    static constexpr Shift kAdded[] = {
        {0x1c89, 0x1c89, 1, false},     {0xa7cb, 0xa7cb, 0x264 - 0xa7cb, false}, {0xa7cc, 0xa7d4, 1, true},
        {0xa7da, 0xa7da, 1, false},     {0xa7dc, 0xa7dc, 0x19b - 0xa7dc, false}, {0x10d50, 0x10d65, 0x20, false},
        {0x16ea0, 0x16eb8, 0x1b, false}};
    for (const Shift& s : kAdded) {
        if (c < s.first || c > s.last || (s.pairs && c % 2 != 0) || (c >= 0xa7d0 && c <= 0xa7d1)) continue;
        return append(text, static_cast<char32_t>(static_cast<std::int32_t>(c) + s.offset));
    }
    if (c == 0x130) {
        text += "i\xCC\x87";
        return;
    }
    append(text, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

namespace {

constexpr bool stands_for_itself(unsigned byte) { return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE; }

struct ByteAlphabet {
    std::array<char32_t, 256> to_character{};
    std::array<std::int16_t, 0x144> to_byte{};
    ByteAlphabet() {
        to_byte.fill(-1);
        char32_t next = 0x100;
        for (unsigned byte = 0; byte < 256; ++byte) {
            to_character[byte] = stands_for_itself(byte) ? byte : next++;
            to_byte[to_character[byte]] = static_cast<std::int16_t>(byte);
        }
    }
};

const ByteAlphabet& byte_alphabet() {
    static const ByteAlphabet alphabet;
    return alphabet;
}

}  // namespace

char32_t byte_to_character(unsigned char byte) { return byte_alphabet().to_character[byte]; }

std::optional<unsigned char> character_to_byte(char32_t character) {
    const auto& table = byte_alphabet().to_byte;
    if (character >= table.size() || table[character] < 0) return std::nullopt;
    return static_cast<unsigned char>(table[character]);
}

}  // namespace tandem::unicode
