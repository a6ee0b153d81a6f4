// log.jsonl: one object a step, flushed every step, cut back to the checkpoint on resume.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>

#include "src/io/json.h"

namespace tandem {

struct StepRecord {
    std::int64_t step = 0;
    double loss = 0;       ///< mean over the trained tokens of the global batch, before the update
    double grad_norm = 0;  ///< before clipping
    double learning_rate = 0;
    std::int64_t tokens = 0, trained_tokens = 0;
    double seconds = 0;
    std::size_t memory_peak_bytes = 0;  ///< arenas, largest rank
    std::size_t rss_peak_bytes = 0;     ///< process, largest rank
};

/// Appends to one file; rank 0 alone has one.
class RunLog {
public:
    /// Keeps the entries of `file` up to `step` (of an earlier part of the same run) and drops the rest, torn lines included.
    /// Step 0 starts a new file.
    RunLog(std::filesystem::path file, std::int64_t step);

    void step(const StepRecord& record);
    void evaluation(std::int64_t step, double loss);
    /// Whether the validation after `step` steps stands in the log.
    [[nodiscard]] bool evaluated(std::int64_t step) const { return evaluated_.contains(step); }

private:
    void append(const Json& record);
    std::filesystem::path path_;
    std::set<std::int64_t> evaluated_;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

/// JSON number, or null with `"nonfinite": true` in the record: JSON has no NaN.
void put_number(Json& record, const char* key, double value);

}  // namespace tandem
