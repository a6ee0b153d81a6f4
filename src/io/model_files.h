// Making a model directory from another one: what is taken over as it is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "src/io/safetensors.h"
#include "src/io/safetensors_writer.h"

namespace tandem {

/// Throws Configuration unless `directory` is absent or empty.
void require_unoccupied(const std::filesystem::path& directory);

/// Copies the files of `from` to `to`: tokenizer, templates (those in additional_chat_templates/ as well), generation settings, licence,
/// modules in Python. Left out, and returned by name: weights in whatever format, an adapter, other directories, hidden files.
/// config.json is not copied. Symbolic links are followed.
std::vector<std::string> copy_other_files(const std::filesystem::path& from, const std::filesystem::path& to);

/// Names of a model's tensors in the order in which they lie in its files.
[[nodiscard]] std::vector<std::string> tensors_in_file_order(const SafetensorsModel& model);

/// A tensor as it is stored. Input where it has more dimensions than tandem writes.
[[nodiscard]] TensorSpec stored_spec(const SafetensorsModel& model, const std::string& name);
/// Its bytes, through bounded staging.
void copy_tensor(const SafetensorsModel& model, const std::string& name, SafetensorsModelWriter& writer);

}  // namespace tandem
