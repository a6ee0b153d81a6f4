// The pre-tokenizers of tokenizer.json: ByteLevel, Split, Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit,
// BertPreTokenizer, CharDelimiterSplit, FixedLength, Sequence.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "src/io/json.h"
#include "src/tokenizer/aligned_text.h"

namespace tandem {

/// Cuts pieces into smaller ones and may change their text. Pieces that are added tokens pass through.
class PreTokenizer {
public:
    virtual ~PreTokenizer() = default;
    [[nodiscard]] virtual std::vector<Piece> apply(std::vector<Piece> pieces) const = 0;
};

/// `json` is the "pre_tokenizer" of `file`; null gives nothing. Throws Input naming a type that is not supported.
[[nodiscard]] std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& json, const std::filesystem::path& file);

}  // namespace tandem
