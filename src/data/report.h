// The pre-flight report: what the data becomes, and what about it would make a run fail quietly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/io/json.h"

namespace tandem {

/// Counts over all data files. Everything but `format` is a sum or a maximum, so that threads count apart.
struct PrepareReport {
    std::string format;        ///< of the records, "messages"; of several files "messages, text" in the order they were met
    std::int64_t records = 0;  ///< read
    std::int64_t samples = 0;  ///< to train on
    std::int64_t tokens = 0;
    std::int64_t trained_tokens = 0;        ///< labels that count in the loss
    std::int64_t longest = 0;               ///< tokens of the longest sample
    std::int64_t longest_record = 0;        ///< the same before data.overlong: what max_seq_length would have to be
    std::int64_t overlong_dropped = 0;      ///< records
    std::int64_t overlong_cut = 0;          ///< records
    std::int64_t overlong_split = 0;        ///< records
    std::int64_t untrained_dropped = 0;     ///< samples (also pieces of cut and split records) without a trained token
    std::int64_t answers = 0;               ///< assistant turns
    std::int64_t answers_empty = 0;         ///< of these, without text
    std::int64_t answers_without_stop = 0;  ///< of these, whose last token is not a trained special token
    std::int64_t bos_samples = 0;           ///< begin with the beginning-of-sequence token
    std::int64_t bos_doubled = 0;           ///< begin with two of them
    std::int64_t eos_samples = 0;           ///< end with the end-of-sequence token (and space, in chats)

    /// Adds another part's counts; formats are joined.
    void add(const PrepareReport& part);

    friend bool operator==(const PrepareReport&, const PrepareReport&) = default;
};

/// One object; the fields' names are those above, with "trained_percent" and "warnings" besides.
[[nodiscard]] Json to_json(const PrepareReport& report);
/// Throws Input naming `source` for what is missing.
[[nodiscard]] PrepareReport report_from_json(const Json& json, const std::string& source);

/// What a user should look at before training, one sentence each; empty if nothing.
[[nodiscard]] std::vector<std::string> warnings(const PrepareReport& report);

/// Some lines of text for the terminal, under the heading `title`.
[[nodiscard]] std::string describe(const PrepareReport& report, const std::string& title);

}  // namespace tandem
