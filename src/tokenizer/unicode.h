// UTF-8 and the properties of characters that tokenizers ask for, as the `tokenizers` library (0.23) answers them: general
// categories of Unicode 16, whatever older release PCRE2 and utf8proc carry on this machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tandem::unicode {

/// Byte offset of the first byte that is not part of valid UTF-8 (surrogates and overlong forms are not).
[[nodiscard]] std::optional<std::size_t> find_invalid_utf8(std::string_view text);

/// Every maximal invalid part becomes U+FFFD, as Python's errors="replace" and Rust's from_utf8_lossy do.
[[nodiscard]] std::string replace_invalid_utf8(std::string_view text);

/// Bytes of the character that begins with this byte, for valid UTF-8.
[[nodiscard]] constexpr std::size_t length_of(char lead) {
    const auto byte = static_cast<unsigned char>(lead);
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

[[nodiscard]] constexpr bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

/// The character at text[at], for valid UTF-8.
[[nodiscard]] char32_t decode(std::string_view text, std::size_t at);

/// Where the character that ends before text[end] begins.
[[nodiscard]] std::size_t previous(std::string_view text, std::size_t end);

[[nodiscard]] std::size_t count_characters(std::string_view text);

void append(std::string& text, char32_t character);

/// Calls f(character, byte offset, bytes) for each character of valid UTF-8.
template <class F>
void for_each(std::string_view text, F&& f) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = length_of(text[at]);
        f(decode(text, at), at, length);
        at += length;
    }
}

/// Two letters, "Lu"; "Cn" for what is not assigned.
[[nodiscard]] std::string_view category(char32_t character);

[[nodiscard]] bool is_white_space(char32_t character);  ///< Unicode's White_Space
[[nodiscard]] bool is_numeric(char32_t character);      ///< Nd, Nl, No
[[nodiscard]] bool is_punctuation(char32_t character);  ///< as the Punctuation pre-tokenizer has it
[[nodiscard]] bool is_word(char32_t character);         ///< \w of added tokens with single_word
[[nodiscard]] bool is_mark(char32_t character);         ///< Mn, Mc, Me
/// Newer than the tables of the library's normalizers, which leave it alone.
[[nodiscard]] bool is_opaque_to_normalization(char32_t character);

/// Appends the lowercase of one character (U+0130 has two).
void append_lowercase(std::string& text, char32_t character);

/// Characters that Unicode 15, 15.1 and 16 added, with their general category; ascending.
struct Addition {
    char32_t first, last;
    char category[3];
};
[[nodiscard]] std::span<const Addition> additions();

/// The character for each byte in byte-level vocabularies (GPT-2): printable Latin-1 stands for itself, the others for
/// U+0100 onwards.
[[nodiscard]] char32_t byte_to_character(unsigned char byte);
/// The inverse; nothing for a character outside that alphabet.
[[nodiscard]] std::optional<unsigned char> character_to_byte(char32_t character);

}  // namespace tandem::unicode
