// What decides how data files become samples. Plain values: who calls fills them from the configuration.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "src/data/record.h"

namespace tandem {

/// data.train_on: which tokens of a conversation have labels. Texts and tokenised samples bring their own.
enum class LabelPolicy : std::uint8_t { Assistant, All };

/// data.overlong: what happens to a sample of more than max_seq_length tokens.
enum class LengthPolicy : std::uint8_t {
    Drop,   ///< it is left out
    Cut,    ///< its first max_seq_length tokens stay
    Split,  ///< it becomes several samples of at most max_seq_length tokens
};

struct DataSettings {
    std::vector<std::string> files;  ///< files and globs (data_files.h)
    RecordFormat format = RecordFormat::Auto;
    LabelPolicy train_on = LabelPolicy::Assistant;
    LengthPolicy overlong = LengthPolicy::Drop;
    std::int64_t max_seq_length = 1024;  ///< tokens
    std::int64_t vocabulary = 0;         ///< rows of the model's embedding: every id is below
    std::filesystem::path cache;         ///< directory of token files; made if absent
    int threads = 1;
    std::chrono::milliseconds lock_deadline = std::chrono::hours(24);  ///< for another process that prepares into `cache`
};

[[nodiscard]] std::string_view name(LabelPolicy policy);   ///< as in data.train_on
[[nodiscard]] std::string_view name(LengthPolicy policy);  ///< as in data.overlong

}  // namespace tandem
