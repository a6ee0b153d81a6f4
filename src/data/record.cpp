#include "src/data/record.h"

#include <limits>

#include "kernels/base/error.h"
#include "src/io/json.h"

namespace tandem {

RecordJson parse_json_record(const RawRecord& raw) {
    try {
        return RecordJson::parse(raw.text);
    } catch (const RecordJson::exception&) {
        (void)parse_json(raw.text, raw.place.file, static_cast<std::size_t>(raw.place.line));  // says where and why
        throw;
    }
}

std::string_view name(RecordFormat format) {
    switch (format) {
        case RecordFormat::Auto: return "auto";
        case RecordFormat::Text: return "text";
        case RecordFormat::Alpaca: return "alpaca";
        case RecordFormat::ShareGpt: return "sharegpt";
        case RecordFormat::Messages: return "messages";
        case RecordFormat::Tokenized: return "tokenized";
    }
    return "?";
}

namespace {

constexpr std::string_view kKnownKeys =
    "\"messages\", \"conversations\", \"instruction\" and \"output\", \"text\", or \"input_ids\"; see data.format";

std::string keys_of(const RecordJson& record) {
    std::string keys;
    for (const auto& [key, value] : record.items()) keys += (keys.empty() ? "\"" : ", \"") + key + "\"";
    return keys.empty() ? "none" : keys;
}

void require_object(const RecordJson& record, const RecordPlace& place) {
    if (record.is_object()) return;
    fail(Failure::Input, "{}: a record is a JSON object, not {} {}; write one object a line, or an array of objects", place.str(),
         record.type_name(), record_detail::excerpt(record));
}

}  // namespace

RecordFormat detect_format(const RecordJson& record, const RecordPlace& place) {
    require_object(record, place);
    // A data set often carries a rendered "text" besides its parts, so text comes last.
    if (record.contains("input_ids")) return RecordFormat::Tokenized;
    if (record.contains("messages")) return RecordFormat::Messages;
    if (record.contains("conversations")) return RecordFormat::ShareGpt;
    if (record.contains("instruction") && record.contains("output")) return RecordFormat::Alpaca;
    if (record.contains("text")) return RecordFormat::Text;
    fail(Failure::Input, "{}: cannot tell the record's format: its keys are {}; known are {}", place.str(), keys_of(record), kKnownKeys);
}

Record parse_record(RecordFormat format, const RecordJson& record, const RecordPlace& place) {
    require_object(record, place);
    switch (format) {
        case RecordFormat::Text: return TextRecord{record_detail::text_member(record, "text", "", place)};
        case RecordFormat::Alpaca: return record_detail::parse_alpaca(record, place);
        case RecordFormat::ShareGpt: return record_detail::parse_sharegpt(record, place);
        case RecordFormat::Messages: return record_detail::parse_messages(record, place);
        case RecordFormat::Tokenized: return record_detail::parse_tokenized(record, place);
        case RecordFormat::Auto: break;
    }
    fail(Failure::Run, "{}: the format of the record is not known yet", place.str());
}

namespace record_detail {

std::string excerpt(const RecordJson& value) {
    auto text = value.dump(-1, ' ', false, RecordJson::error_handler_t::replace);
    constexpr std::size_t kLongest = 60;
    if (text.size() <= kLongest) return text;
    auto end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // not inside a character
    return text.substr(0, end) + "...";
}

std::string text_member(const RecordJson& record, const std::string& key, std::string_view what, const RecordPlace& place) {
    const auto found = record.find(key);
    if (found == record.end()) {
        fail(Failure::Input, "{}: {}the key \"{}\" is missing; the keys are {}", place.str(), what, key, keys_of(record));
    }
    if (!found->is_string()) {
        fail(Failure::Input, "{}: {}\"{}\" is {} ({}), but a string is needed", place.str(), what, key, excerpt(*found),
             found->type_name());
    }
    return found->get<std::string>();
}

namespace {

std::vector<std::int32_t> integers(const RecordJson& record, const std::string& key, const RecordPlace& place) {
    const auto& list = record.at(key);
    if (!list.is_array()) {
        fail(Failure::Input, "{}: \"{}\" is {} ({}), but an array of integers is needed", place.str(), key, excerpt(list),
             list.type_name());
    }
    constexpr std::int32_t kLargest = std::numeric_limits<std::int32_t>::max();
    std::vector<std::int32_t> values;
    values.reserve(list.size());
    for (const auto& entry : list) {
        // The parser keeps what does not fit a signed number as an unsigned one.
        const bool representable = entry.is_number_integer() && (!entry.is_number_unsigned() || entry.get<std::uint64_t>() <= kLargest);
        const auto value = representable ? entry.get<std::int64_t>() : 0;
        if (!representable || value < std::numeric_limits<std::int32_t>::min() || value > kLargest) {
            fail(Failure::Input, "{}: \"{}\"[{}] is {} ({}), but a token id is needed", place.str(), key, values.size(), excerpt(entry),
                 entry.type_name());
        }
        values.push_back(static_cast<std::int32_t>(value));
    }
    return values;
}

}  // namespace

TokenRecord parse_tokenized(const RecordJson& record, const RecordPlace& place) {
    if (!record.contains("input_ids")) {
        fail(Failure::Input, "{}: the key \"input_ids\" is missing; the keys are {}", place.str(), keys_of(record));
    }
    TokenRecord tokens;
    tokens.ids = integers(record, "input_ids", place);
    const auto labels = record.find("labels");
    tokens.labels = labels == record.end() || labels->is_null() ? tokens.ids : integers(record, "labels", place);
    if (tokens.labels.size() != tokens.ids.size()) {
        fail(Failure::Input,
             "{}: \"labels\" has {} entries and \"input_ids\" {}; there is one label for each token, -100 where not trained", place.str(),
             tokens.labels.size(), tokens.ids.size());
    }
    return tokens;
}

}  // namespace record_detail

}  // namespace tandem
