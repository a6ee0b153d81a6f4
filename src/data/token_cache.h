// Where token files are kept, and under which name. Private to src/data.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "src/data/settings.h"
#include "src/data/token_file.h"
#include "src/io/files.h"
#include "src/tokenizer/chat_template.h"
#include "src/tokenizer/tokenizer.h"

namespace tandem {

/// A hash of everything that decides what is in the token file: the data files' bytes, the tokenizer, the chat template,
/// format, lengths, labels. 32 hexadecimal digits.
[[nodiscard]] std::string content_key(const DataSettings& settings, const std::vector<std::string>& files, const Tokenizer* tokenizer,
                                      const ChatTemplate* chat_template);

class TokenCache {
public:
    /// Makes the directory if it is absent. Throws Configuration if that is not possible.
    explicit TokenCache(std::filesystem::path directory);

    [[nodiscard]] std::filesystem::path path(const std::string& key) const;
    /// The file of `key`, whole and verified. A damaged one counts as absent; `note` then says what was wrong with it.
    [[nodiscard]] std::optional<TokenFile> find(const std::string& key, std::string& note) const;
    /// Waits while another process makes a file in this directory.
    [[nodiscard]] FileLock lock(std::chrono::milliseconds deadline) const;
    /// Under the lock: what processes that were killed while making a file left behind.
    void remove_leftovers() const;

private:
    std::filesystem::path directory_;
};

}  // namespace tandem
