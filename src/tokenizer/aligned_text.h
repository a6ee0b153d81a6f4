// A text on its way to tokens, and for each byte of it the characters of the original text that it comes from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tandem {

/// Bytes [begin, end) of the original text.
struct Origin {
    std::uint32_t begin = 0, end = 0;
};

/// `text` with one Origin a byte. A text that is still a part of the original keeps none: byte i then comes from the character
/// that holds original byte shift + i.
class AlignedText {
public:
    AlignedText() = default;
    /// Bytes [shift, shift + part.size()) of the original, on character boundaries.
    AlignedText(std::string_view part, std::size_t shift) : text(part), shift_(shift), identity_(true) {}

    std::string text;

    [[nodiscard]] Origin origin(std::size_t byte) const;
    /// For building a changed text: these bytes, all from `from`.
    void append(std::string_view bytes, Origin from);
    /// Bytes [begin, end) of `other` as they are.
    void append(const AlignedText& other, std::size_t begin, std::size_t end);

private:
    std::vector<Origin> origins_;
    std::size_t shift_ = 0;
    bool identity_ = false;
};

/// What pre-tokenizers cut a text into. `token` >= 0: an added token, not touched any more.
struct Piece {
    std::shared_ptr<const AlignedText> source;
    std::size_t begin = 0, end = 0;  ///< bytes of source->text
    std::size_t original_begin = 0;  ///< where the piece begins in the original
    std::int32_t token = -1;

    [[nodiscard]] std::string_view text() const { return std::string_view(source->text).substr(begin, end - begin); }
};

/// The whole of `text` as one piece.
[[nodiscard]] Piece whole(std::shared_ptr<const AlignedText> text, std::size_t original_begin);

}  // namespace tandem
