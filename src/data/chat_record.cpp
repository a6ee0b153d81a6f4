// The three ways of writing down a conversation, brought to one: objects with "role" and a text as "content".
#include <array>
#include <utility>

#include "kernels/base/error.h"
#include "src/data/record.h"

namespace tandem::record_detail {

namespace {

using RoleNames = std::span<const std::pair<std::string_view, std::string_view>>;

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kMessagesRoles = {{
    {"system", "system"},
    {"developer", "developer"},
    {"user", "user"},
    {"assistant", "assistant"},
    {"tool", "tool"},
    {"function", "function"},
}};
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kShareGptRoles = {{
    {"human", "user"},
    {"user", "user"},
    {"gpt", "assistant"},
    {"assistant", "assistant"},
    {"chatgpt", "assistant"},
    {"bing", "assistant"},
    {"bard", "assistant"},
    {"model", "assistant"},
    {"system", "system"},
    {"tool", "tool"},
    {"observation", "tool"},
}};

RecordJson message(std::string_view role, std::string text) { return RecordJson{{"role", role}, {"content", std::move(text)}}; }

std::string role_of(const RecordJson& turn, const std::string& key, RoleNames known, std::string_view what, const RecordPlace& place) {
    const auto found = text_member(turn, key, what, place);
    std::string names;
    for (const auto& [written, role] : known) {
        if (found == written) return std::string(role);
        names += (names.empty() ? "" : ", ") + std::string(written);
    }
    fail(Failure::Input, "{}: {}unknown role {}; known are {}", place.str(), what, excerpt(found), names);
}

/// The texts of a list of parts, joined.
std::string join_parts(const RecordJson& parts, std::string_view what, const RecordPlace& place) {
    std::string text;
    for (const auto& part : parts) {
        if (part.is_string()) {
            text += part.get<std::string>();
        } else if (part.is_object() && (!part.contains("type") || part["type"] == "text")) {
            text += text_member(part, "text", what, place);
        } else {
            fail(Failure::Input, "{}: {}a content part is {}, but only {{\"type\": \"text\", \"text\": \"...\"}} can be trained on",
                 place.str(), what, excerpt(part));
        }
    }
    return text;
}

/// `turn`'s content as one string. null is what an assistant says who only calls tools.
std::string content_of(const RecordJson& turn, const std::string& key, std::string_view role, std::string_view what,
                       const RecordPlace& place) {
    const auto content = turn.find(key);
    const bool absent = content == turn.end() || content->is_null();
    if (absent && role == "assistant" && (content != turn.end() || turn.contains("tool_calls"))) return "";
    if (content != turn.end() && content->is_array()) return join_parts(*content, what, place);
    return text_member(turn, key, what, place);
}

/// An untrained turn among trained ones cannot be expressed by data.train_on; training on it anyway would be a silent mistake.
void refuse_untrained_turn(const RecordJson& turn, std::string_view what, const RecordPlace& place) {
    for (const auto* key : {"weight", "train"}) {
        const auto found = turn.find(key);
        if (found == turn.end() || found->is_null() || *found == 1 || *found == true) continue;
        fail(Failure::Input, "{}: {}\"{}\" is {}: single turns cannot be left untrained; remove the key, or give the sample as tokenized",
             place.str(), what, key, excerpt(*found));
    }
}

struct Keys {
    const char* role;
    const char* content;
};

RecordJson parse_turns(const RecordJson& turns, const std::string& list, Keys keys, RoleNames known, const RecordPlace& place) {
    if (!turns.is_array() || turns.empty()) {
        fail(Failure::Input, "{}: \"{}\" is {} ({}), but a list of at least one turn is needed", place.str(), list, excerpt(turns),
             turns.type_name());
    }
    RecordJson messages = RecordJson::array();
    for (const auto& turn : turns) {
        const auto what = fmt::format("{}[{}]: ", list, messages.size());
        if (!turn.is_object()) {
            fail(Failure::Input, "{}: {}{} ({}) is not a turn; {{\"{}\": \"...\", \"{}\": \"...\"}} is needed", place.str(), what,
                 excerpt(turn), turn.type_name(), keys.role, keys.content);
        }
        refuse_untrained_turn(turn, what, place);
        const auto role = role_of(turn, keys.role, known, what, place);
        auto kept = message(role, content_of(turn, keys.content, role, what, place));
        for (const auto& [key, value] : turn.items()) {
            if (key != keys.role && key != keys.content && !kept.contains(key)) kept[key] = value;
        }
        messages.push_back(std::move(kept));
    }
    return messages;
}

/// A "system" beside the turns goes before them.
void add_system(RecordJson& messages, const RecordJson& record, const RecordPlace& place) {
    const auto found = record.find("system");
    if (found == record.end() || found->is_null()) return;
    auto text = text_member(record, "system", "", place);
    if (!text.empty()) messages.insert(messages.begin(), message("system", std::move(text)));
}

void refuse_tools(const RecordJson& record, const RecordPlace& place) {
    const auto tools = record.find("tools");
    if (tools == record.end() || tools->is_null() || tools->empty() || *tools == "") return;
    fail(Failure::Input, "{}: \"tools\" is {}: tool descriptions are not rendered; put them into the system message, or remove the key",
         place.str(), excerpt(*tools));
}

}  // namespace

ChatRecord parse_alpaca(const RecordJson& record, const RecordPlace& place) {
    RecordJson messages = RecordJson::array();
    const auto history = record.find("history");
    if (history != record.end() && !history->is_null()) {
        if (!history->is_array()) fail(Failure::Input, "{}: \"history\" is {}, but a list is needed", place.str(), excerpt(*history));
        for (const auto& turn : *history) {
            if (!turn.is_array() || turn.size() != 2 || !turn[0].is_string() || !turn[1].is_string()) {
                fail(Failure::Input, "{}: \"history\"[{}] is {}, but [\"question\", \"answer\"] is needed", place.str(),
                     messages.size() / 2, excerpt(turn));
            }
            messages.push_back(message("user", turn[0].get<std::string>()));
            messages.push_back(message("assistant", turn[1].get<std::string>()));
        }
    }
    auto question = text_member(record, "instruction", "", place);
    const auto input = record.find("input");
    if (input != record.end() && !input->is_null()) {
        const auto text = text_member(record, "input", "", place);
        if (!text.empty()) question += "\n\n" + text;
    }
    messages.push_back(message("user", std::move(question)));
    messages.push_back(message("assistant", text_member(record, "output", "", place)));
    add_system(messages, record, place);
    return {std::move(messages)};
}

ChatRecord parse_sharegpt(const RecordJson& record, const RecordPlace& place) {
    refuse_tools(record, place);
    const auto turns = record.find("conversations");
    if (turns == record.end()) (void)text_member(record, "conversations", "", place);
    // Some data sets use this list's name with the keys of `messages`.
    const bool as_messages = turns->is_array() && !turns->empty() && turns->front().is_object() && turns->front().contains("role");
    auto messages =
        parse_turns(*turns, "conversations", as_messages ? Keys{"role", "content"} : Keys{"from", "value"}, kShareGptRoles, place);
    add_system(messages, record, place);
    return {std::move(messages)};
}

ChatRecord parse_messages(const RecordJson& record, const RecordPlace& place) {
    refuse_tools(record, place);
    const auto turns = record.find("messages");
    if (turns == record.end()) (void)text_member(record, "messages", "", place);
    return {parse_turns(*turns, "messages", {"role", "content"}, kMessagesRoles, place)};
}

}  // namespace tandem::record_detail
