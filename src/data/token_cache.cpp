#include "src/data/token_cache.h"

#include <system_error>

#include "kernels/base/error.h"
#include "src/io/hash.h"

namespace tandem {

namespace {

/// Changes when the same input would give other tokens or labels than in an earlier version of this program.
constexpr std::string_view kRules = "tandem data 1";

}  // namespace

std::string content_key(const DataSettings& settings, const std::vector<std::string>& files, const Tokenizer* tokenizer,
                        const ChatTemplate* chat_template) {
    Hasher hasher;
    const auto add = [&](std::string_view part) {  // with its length, so that parts cannot run into one another
        hasher.update(fmt::format("{}:", part.size()));
        hasher.update(part);
    };
    add(kRules);
    // The extension tells plain text from JSON (RecordReader); other than that a file may be moved or renamed.
    for (const auto& file : files) add(hash_file(file).str() + std::filesystem::path(file).extension().string());
    add(tokenizer == nullptr
            ? "no tokenizer"
            : fmt::format("{:016x} {} {}", tokenizer->hash(), tokenizer->bos().value_or(-1), tokenizer->eos().value_or(-1)));
    add(chat_template == nullptr ? "no template" : chat_template->source());
    add(fmt::format("{} {} {} {} {}", name(settings.format), name(settings.train_on), name(settings.overlong), settings.max_seq_length,
                    settings.vocabulary));
    return hasher.digest().str();
}

TokenCache::TokenCache(std::filesystem::path directory) : directory_(std::move(directory)) {
    if (directory_.empty()) directory_ = ".";
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error && !std::filesystem::is_directory(directory_)) {
        fail(Failure::Configuration, "data.cache {}: cannot create the directory: {}", directory_.string(), error.message());
    }
}

std::filesystem::path TokenCache::path(const std::string& key) const { return directory_ / ("tokens-" + key.substr(0, 16) + ".h5"); }

std::optional<TokenFile> TokenCache::find(const std::string& key, std::string& note) const {
    std::error_code error;
    if (!std::filesystem::exists(path(key), error)) return std::nullopt;
    try {
        auto file = TokenFile::open(path(key));
        file.verify();
        if (file.key() == key) return file;
        note = path(key).string() + ": made from other data";
    } catch (const Error& e) {
        if (e.failure() != Failure::Input) throw;
        note = e.what();
    }
    return std::nullopt;
}

FileLock TokenCache::lock(std::chrono::milliseconds deadline) const { return {directory_ / ".prepare.lock", deadline}; }

void TokenCache::remove_leftovers() const {
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
        const auto name = entry.path().filename().string();
        const bool temporary = name.starts_with(".tokens-") || name.starts_with(".spool.");
        std::error_code gone;
        if (temporary && name.find(".tmp-") != std::string::npos) std::filesystem::remove(entry.path(), gone);
    }
}

}  // namespace tandem
