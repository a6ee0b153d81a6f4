// The normalizers of tokenizer.json: NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Prepend, Replace, Strip, ByteLevel, Sequence.
#pragma once

#include <filesystem>
#include <memory>

#include "src/io/json.h"
#include "src/tokenizer/aligned_text.h"

namespace tandem {

class Normalizer {
public:
    virtual ~Normalizer() = default;
    [[nodiscard]] virtual AlignedText apply(const AlignedText& text) const = 0;
};

/// `json` is the "normalizer" of `file`; null gives nothing. Throws Input naming a type that is not supported.
[[nodiscard]] std::unique_ptr<Normalizer> make_normalizer(const Json& json, const std::filesystem::path& file);

/// Each byte becomes its character of the byte-level alphabet.
[[nodiscard]] AlignedText to_byte_level(const AlignedText& text, std::size_t begin, std::size_t end);

/// Every match becomes `content`.
class Regex;
[[nodiscard]] AlignedText replace_matches(const AlignedText& text, const Regex& regex, std::string_view content);

/// "pattern" of Split and Replace: {"String": text} or {"Regex": expression}.
[[nodiscard]] Regex make_pattern(const Json& owner, const std::filesystem::path& file);

}  // namespace tandem
