// Which tokens begin, end and fill a text, from the small files beside tokenizer.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/tokenizer/post_processor.h"

namespace tandem {

struct SpecialIds {
    std::optional<std::int32_t> bos, eos, pad;
    std::vector<std::int32_t> ends;  ///< eos first, then the others of generation_config.json
};

/// Text of the token that tokenizer_config.json, else special_tokens_map.json, names `role` ("bos_token"); nothing if neither does.
[[nodiscard]] std::optional<std::string> special_token_text(const std::filesystem::path& model_directory, std::string_view role);

/// `id_of` finds a token's id. A role that no tokenizer file names is taken from generation_config.json, then config.json.
[[nodiscard]] SpecialIds load_special_ids(const std::filesystem::path& model_directory,
                                          const std::function<std::optional<std::int32_t>(std::string_view)>& id_of);

/// As transformers does: where tokenizer_config.json says add_bos_token or add_eos_token, these two decide instead of the
/// post-processor of tokenizer.json.
void apply_add_bos_eos(const std::filesystem::path& model_directory, const SpecialIds& ids, SpecialFrame& frame);

}  // namespace tandem
