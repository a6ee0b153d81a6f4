// The post-processors of tokenizer.json, for single texts: which special tokens stand before and after the text's own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "src/io/json.h"

namespace tandem {

/// Ids to put around those of the text.
struct SpecialFrame {
    std::vector<std::int32_t> before, after;
};

/// `json` is the "post_processor" of `file` (TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing, Sequence); null
/// adds nothing. Throws Input naming a type that is not supported, and for a template that does not hold the text exactly once.
[[nodiscard]] SpecialFrame make_special_frame(const Json& json, const std::filesystem::path& file);

}  // namespace tandem
