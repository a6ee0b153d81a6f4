// Records to samples: ids and aligned labels, within max_seq_length. Pure functions of the record, for any number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/data/record.h"
#include "src/data/report.h"
#include "src/data/settings.h"
#include "src/tokenizer/chat_template.h"
#include "src/tokenizer/tokenizer.h"

namespace tandem {

/// Samples one after another, and what was counted on the way.
struct EncodedSamples {
    std::vector<std::int32_t> ids, labels;
    std::vector<std::int32_t> lengths;
    PrepareReport counts;
};

class Encoder {
public:
    /// What is null is not needed for tokenised data; where it is, encode() throws Input saying what is missing. All three must
    /// outlive the encoder.
    Encoder(const DataSettings& settings, const Tokenizer* tokenizer, const ChatTemplate* chat_template)
        : settings_(settings), tokenizer_(tokenizer), chat_template_(chat_template) {}

    /// Appends the samples of one record of a file with this layout and format (not Auto). Throws Input naming the place.
    void encode(const RawRecord& raw, FileLayout layout, RecordFormat format, EncodedSamples& out) const;

private:
    [[nodiscard]] TokenRecord tokens_of(const Record& record, const RecordPlace& place, PrepareReport& counts) const;
    [[nodiscard]] TokenRecord text_tokens(const TextRecord& record, const RecordPlace& place) const;
    [[nodiscard]] TokenRecord chat_tokens(const ChatRecord& record, const RecordPlace& place, PrepareReport& counts) const;
    [[nodiscard]] bool is_stop(std::int32_t id) const;
    void check(const TokenRecord& tokens, const RecordPlace& place) const;
    void count_ends(const TokenRecord& tokens, PrepareReport& counts) const;
    void add_pieces(const TokenRecord& tokens, EncodedSamples& out) const;

    const DataSettings& settings_;
    const Tokenizer* tokenizer_;
    const ChatTemplate* chat_template_;
};

}  // namespace tandem
