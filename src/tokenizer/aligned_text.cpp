#include "src/tokenizer/aligned_text.h"

#include "src/tokenizer/unicode.h"

namespace tandem {

Origin AlignedText::origin(std::size_t byte) const {
    if (!identity_) return origins_[byte];
    std::size_t begin = byte;
    while (begin > 0 && unicode::is_continuation(text[begin])) --begin;
    return {static_cast<std::uint32_t>(shift_ + begin), static_cast<std::uint32_t>(shift_ + begin + unicode::length_of(text[begin]))};
}

void AlignedText::append(std::string_view bytes, Origin from) {
    text.append(bytes);
    origins_.resize(text.size(), from);
}

void AlignedText::append(const AlignedText& other, std::size_t begin, std::size_t end) {
    text.append(other.text, begin, end - begin);
    if (!other.identity_) {
        origins_.insert(origins_.end(), other.origins_.begin() + static_cast<std::ptrdiff_t>(begin),
                        other.origins_.begin() + static_cast<std::ptrdiff_t>(end));
        return;
    }
    for (std::size_t i = begin; i < end; ++i) origins_.push_back(other.origin(i));
}

Piece whole(std::shared_ptr<const AlignedText> text, std::size_t original_begin) {
    const std::size_t size = text->text.size();
    return {std::move(text), 0, size, original_begin, -1};
}

}  // namespace tandem
