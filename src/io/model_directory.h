// What describes a model, whether it is a Hugging Face directory or a GGUF file. Of the latter FILE.gguf/config.json and its like are what
// `tandem import` would write, under names that no file system knows.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "src/io/json.h"

namespace tandem {

/// Whether `model` is a file that is called *.gguf.
[[nodiscard]] bool is_gguf(const std::filesystem::path& model);
/// Throws Configuration, beginning with `what`, unless `model` is a directory or a GGUF file.
void require_model(const std::string& what, const std::filesystem::path& model);
/// The same where only a directory will do.
void require_directory(const std::string& what, const std::filesystem::path& model);

/// Whether MODEL/NAME is there.
[[nodiscard]] bool has_model_file(const std::filesystem::path& file);
/// Its contents. Errors as read_file()'s and import_gguf()'s.
[[nodiscard]] std::string read_model_file(const std::filesystem::path& file);
[[nodiscard]] Json read_model_json(const std::filesystem::path& file);
/// What a GGUF file leaves to be assumed, as the import says it; nothing for a directory.
[[nodiscard]] std::vector<std::string> model_warnings(const std::filesystem::path& model);

}  // namespace tandem
