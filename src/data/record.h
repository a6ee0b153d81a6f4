// What one record of a data file says, in any of the formats, before a tokenizer has seen it.
//
// | format    | record |
// |-----------|--------|
// | text      | {"text": "..."}, or a line of a plain-text file |
// | alpaca    | {"instruction": "...", "input": "..."?, "output": "...", "system": "..."?, "history": [["...", "..."], ...]?} |
// | sharegpt  | {"conversations": [{"from": "human" or "gpt" or "system" ..., "value": "..."}, ...], "system": "..."?} |
// | messages  | {"messages": [{"role": "user", "content": "..."}, ...]}; content may be a list of {"type": "text", "text": "..."} |
// | tokenized | {"input_ids": [...], "labels": [...]?}, -100 where not trained; no labels: all are trained |
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/data/record_reader.h"

namespace tandem {

/// Keeps the order of members, which chat templates can see.
using RecordJson = nlohmann::ordered_json;

/// The JSON of a record. Throws Input naming file, line and column of what is not JSON.
[[nodiscard]] RecordJson parse_json_record(const RawRecord& raw);

enum class RecordFormat : std::uint8_t { Auto, Text, Alpaca, ShareGpt, Messages, Tokenized };
[[nodiscard]] std::string_view name(RecordFormat format);  ///< as in data.format

/// The label of a position that is not trained (PyTorch's cross_entropy ignore_index).
inline constexpr std::int32_t kNotTrained = -100;

struct TextRecord {
    std::string text;
};
/// A conversation: objects with "role" (system, developer, user, assistant, tool, function) and "content" (a string), and
/// whatever else the data gives the chat template.
struct ChatRecord {
    RecordJson messages;
};
/// labels[i] is the label of ids[i]: not shifted.
struct TokenRecord {
    std::vector<std::int32_t> ids, labels;
};
using Record = std::variant<TextRecord, ChatRecord, TokenRecord>;

/// The format of a JSON record, by its keys. Throws Input, naming the keys found and those that are known.
[[nodiscard]] RecordFormat detect_format(const RecordJson& record, const RecordPlace& place);

/// A JSON record read as `format` (not Auto). Throws Input naming place, key, what was found, what was expected and what to do.
[[nodiscard]] Record parse_record(RecordFormat format, const RecordJson& record, const RecordPlace& place);

namespace record_detail {

/// `value` on one line, shortened, for messages.
[[nodiscard]] std::string excerpt(const RecordJson& value);
/// Member `key` of `record`, which must be a string. `what` says where in the record: "", "message 2: ".
[[nodiscard]] std::string text_member(const RecordJson& record, const std::string& key, std::string_view what, const RecordPlace& place);

[[nodiscard]] ChatRecord parse_alpaca(const RecordJson& record, const RecordPlace& place);
[[nodiscard]] ChatRecord parse_sharegpt(const RecordJson& record, const RecordPlace& place);
[[nodiscard]] ChatRecord parse_messages(const RecordJson& record, const RecordPlace& place);
[[nodiscard]] TokenRecord parse_tokenized(const RecordJson& record, const RecordPlace& place);

}  // namespace record_detail

}  // namespace tandem
