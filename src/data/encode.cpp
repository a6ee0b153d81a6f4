#include "src/data/encode.h"

#include <algorithm>

#include "kernels/base/error.h"
#include "src/tokenizer/unicode.h"

namespace tandem {

namespace {

/// Plain text is not checked by a JSON parser.
void check_utf8(const RawRecord& raw) {
    if (const auto at = unicode::find_invalid_utf8(raw.text)) {
        fail(Failure::Input, "{}: byte {} of the line (0x{:02x}) is not UTF-8; convert the file: iconv -f latin1 -t UTF-8 FILE",
             raw.place.str(), *at + 1, static_cast<unsigned char>(raw.text[*at]));
    }
}

Record parse(const RawRecord& raw, FileLayout layout, RecordFormat format) {
    if (layout == FileLayout::Lines) {
        check_utf8(raw);
        return TextRecord{raw.text};
    }
    return parse_record(format, parse_json_record(raw), raw.place);
}

/// What a tokenizer or template says against a record, with the record's place.
template <class F>
auto with_place(const RecordPlace& place, F&& f) {
    try {
        return f();
    } catch (const Error& e) {
        throw Error(e.failure(), place.str() + ": " + e.what());
    }
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

}  // namespace

void Encoder::encode(const RawRecord& raw, FileLayout layout, RecordFormat format, EncodedSamples& out) const {
    ++out.counts.records;
    const auto tokens = tokens_of(parse(raw, layout, format), raw.place, out.counts);
    check(tokens, raw.place);
    count_ends(tokens, out.counts);
    add_pieces(tokens, out);
}

TokenRecord Encoder::tokens_of(const Record& record, const RecordPlace& place, PrepareReport& counts) const {
    if (const auto* tokens = std::get_if<TokenRecord>(&record)) return *tokens;
    if (tokenizer_ == nullptr) {
        fail(Failure::Input, "{}: text is to be tokenised, but the model's directory has no tokenizer.json; add it, or give tokenized data",
             place.str());
    }
    if (const auto* text = std::get_if<TextRecord>(&record)) return text_tokens(*text, place);
    if (chat_template_ == nullptr) {
        fail(Failure::Input,
             "{}: a conversation is to be rendered, but the model has no chat template; set data.chat_template, or give `text` data",
             place.str());
    }
    return chat_tokens(std::get<ChatRecord>(record), place, counts);
}

bool Encoder::is_stop(std::int32_t id) const {
    const auto& ends = tokenizer_->end_ids();
    return tokenizer_->is_special(id) || std::find(ends.begin(), ends.end(), id) != ends.end();
}

/// As tokenizer(text) of transformers, and closed: a model that never sees the end of a text does not learn to end one.
TokenRecord Encoder::text_tokens(const TextRecord& record, const RecordPlace& place) const {
    TokenRecord tokens;
    if (record.text.empty()) return tokens;
    tokens.ids = with_place(place, [&] { return tokenizer_->encode(record.text, AddSpecial::Yes); });
    const auto eos = tokenizer_->eos();
    if (eos && (tokens.ids.empty() || tokens.ids.back() != *eos)) tokens.ids.push_back(*eos);
    tokens.labels = tokens.ids;
    return tokens;
}

TokenRecord Encoder::chat_tokens(const ChatRecord& record, const RecordPlace& place, PrepareReport& counts) const {
    auto chat = with_place(place, [&] { return tokenize_chat(*tokenizer_, *chat_template_, record.messages); });
    for (const auto& message : record.messages) {
        if (message["role"] != "assistant") continue;
        ++counts.answers;
        if (!message.contains("tool_calls") && is_blank(message["content"].get_ref<const std::string&>())) ++counts.answers_empty;
        ++counts.answers_without_stop;  // until a stop is found below
    }
    TokenRecord tokens{std::move(chat.ids), {}};
    tokens.labels.reserve(tokens.ids.size());
    bool after_stop = false;
    for (std::size_t i = 0; i < tokens.ids.size(); ++i) {
        tokens.labels.push_back(chat.trained[i] || settings_.train_on == LabelPolicy::All ? tokens.ids[i] : kNotTrained);
        // A trained stretch that ends in a special token, or in one and the line end that some templates train with it.
        const bool ends = chat.trained[i] && (i + 1 == tokens.ids.size() || !chat.trained[i + 1]);
        const bool stop = chat.trained[i] && is_stop(tokens.ids[i]);
        if (ends && (stop || after_stop) && counts.answers_without_stop > 0) --counts.answers_without_stop;
        after_stop = stop && !ends;
    }
    return tokens;
}

void Encoder::check(const TokenRecord& tokens, const RecordPlace& place) const {
    const auto in_vocabulary = [&](std::int32_t id) { return id >= 0 && id < settings_.vocabulary; };
    for (std::size_t i = 0; i < tokens.ids.size(); ++i) {
        if (!in_vocabulary(tokens.ids[i])) {
            fail(Failure::Input,
                 "{}: \"input_ids\"[{}] is {}, but the model's vocabulary has the ids 0 to {}; was it tokenised for another model?",
                 place.str(), i, tokens.ids[i], settings_.vocabulary - 1);
        }
        if (tokens.labels[i] != kNotTrained && !in_vocabulary(tokens.labels[i])) {
            fail(Failure::Input, "{}: \"labels\"[{}] is {}, but a label is -100 (not trained) or a token id from 0 to {}", place.str(), i,
                 tokens.labels[i], settings_.vocabulary - 1);
        }
    }
}

void Encoder::count_ends(const TokenRecord& tokens, PrepareReport& counts) const {
    const auto n = tokens.ids.size();
    counts.longest_record = std::max(counts.longest_record, static_cast<std::int64_t>(n));
    if (tokenizer_ == nullptr || n == 0) return;
    if (const auto bos = tokenizer_->bos(); bos && tokens.ids[0] == *bos) {
        ++counts.bos_samples;
        if (n > 1 && tokens.ids[1] == *bos) ++counts.bos_doubled;
    }
    if (const auto eos = tokenizer_->eos(); eos && (tokens.ids[n - 1] == *eos || (n > 1 && tokens.ids[n - 2] == *eos)))
        ++counts.eos_samples;
}

void Encoder::add_pieces(const TokenRecord& tokens, EncodedSamples& out) const {
    const auto n = tokens.ids.size(), most = static_cast<std::size_t>(settings_.max_seq_length);
    auto& counts = out.counts;
    std::size_t end = n;
    if (n > most) {
        if (settings_.overlong == LengthPolicy::Drop) {
            ++counts.overlong_dropped;
            return;
        }
        ++(settings_.overlong == LengthPolicy::Cut ? counts.overlong_cut : counts.overlong_split);
        if (settings_.overlong == LengthPolicy::Cut) end = most;
    }
    if (n == 0) ++counts.untrained_dropped;
    for (std::size_t first = 0; first < end; first += most) {
        const auto length = std::min(most, end - first);
        const auto labels = std::span(tokens.labels).subspan(first, length);
        // Nothing comes before a sample's first token, so nothing predicts it.
        const auto trained = length - 1 - static_cast<std::size_t>(std::count(labels.begin() + 1, labels.end(), kNotTrained));
        if (trained == 0) {
            ++counts.untrained_dropped;
            continue;
        }
        out.ids.insert(out.ids.end(), tokens.ids.begin() + static_cast<std::ptrdiff_t>(first),
                       tokens.ids.begin() + static_cast<std::ptrdiff_t>(first + length));
        out.labels.push_back(kNotTrained);
        out.labels.insert(out.labels.end(), labels.begin() + 1, labels.end());
        out.lengths.push_back(static_cast<std::int32_t>(length));
        ++counts.samples;
        counts.tokens += static_cast<std::int64_t>(length);
        counts.trained_tokens += static_cast<std::int64_t>(trained);
        counts.longest = std::max(counts.longest, static_cast<std::int64_t>(length));
    }
}

}  // namespace tandem
