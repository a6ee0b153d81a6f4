// A sample as a person reads it: what the model is given, and which parts of it are trained.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/data/token_file.h"
#include "src/tokenizer/tokenizer.h"

namespace tandem {

inline constexpr std::string_view kTrainedBegin = "\u27E6";  ///< before the first of some trained tokens
inline constexpr std::string_view kTrainedEnd = "\u27E7";    ///< after the last of them

/// The sample's text, special tokens included, with trained stretches between the marks; ids where there is no tokenizer.
[[nodiscard]] std::string sample_text(const TokenFile& file, std::int64_t sample, const Tokenizer* tokenizer);

}  // namespace tandem
