// Data files to a token file, once: the result is kept in a cache under a hash of everything it depends on.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "src/data/report.h"
#include "src/data/settings.h"
#include "src/data/token_file.h"
#include "src/tokenizer/chat_template.h"
#include "src/tokenizer/tokenizer.h"

namespace tandem {

struct Prepared {
    TokenFile file;
    PrepareReport report;
    bool cached = false;  ///< was there already
    std::string note;     ///< a damaged file was made again: what was wrong with it; else empty
};

/// Called now and then with the number of records read so far.
using PrepareProgress = std::function<void(std::int64_t records)>;

/// The token file of these settings: found in the cache, or made with `settings.threads` threads in bounded memory; the same
/// bytes for any number of threads. Any number of processes may call it at once: one makes the file, the others wait for it.
///
/// The cache is keyed by the contents of the data files, the tokenizer, the chat template, and the settings that matter. A
/// damaged file is made again. A process that is killed leaves nothing that a later one would take for a token file.
///
/// `tokenizer` and `chat_template` may be null where the data does not need them. Throws Configuration for files that are not
/// there, Input for what is inside them (with file and line), also if nothing would be trained.
[[nodiscard]] Prepared prepare(const DataSettings& settings, const Tokenizer* tokenizer, const ChatTemplate* chat_template,
                               const PrepareProgress& progress = {});

}  // namespace tandem
