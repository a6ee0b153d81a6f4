#include "src/tokenizer/assistant_spans.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"

namespace tandem {

namespace {

/// Unlike anything in a conversation, and nothing that a template trims, splits or escapes.
constexpr std::string_view kPlaceholder = "TandemPlaceholder7c41e9a05bd2";

constexpr std::string_view kSpace = " \t\r\n";

bool is_blank(std::string_view text) { return text.find_first_not_of(kSpace) == std::string_view::npos; }

std::string_view stripped(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(kSpace);
    return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
    const std::size_t size = std::min(a.size(), b.size());
    return static_cast<std::size_t>(std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(size), b.begin()).first - a.begin());
}

std::string content_text(const ChatMessages& message) {
    const auto content = message.find("content");
    return content != message.end() && content->is_string() ? content->get<std::string>() : "";
}

}  // namespace

ChatMessages AssistantSpans::first(std::size_t count) const {
    return ChatMessages(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(count));
}

std::optional<std::string> AssistantSpans::try_render(const ChatMessages& messages, bool add_generation_prompt) const {
    try {
        return render_(messages, add_generation_prompt);
    } catch (const Error& error) {
        if (error.failure() != Failure::Input) throw;
        return std::nullopt;
    }
}

std::vector<AssistantSpans::Span> AssistantSpans::find_all() const {
    std::vector<Span> out;
    for (std::size_t i = 0; i < messages_.size(); ++i) {
        const auto role = messages_[i].find("role");
        if (role == messages_[i].end() || *role != "assistant") continue;
        const Span span = find(i);
        if (!out.empty() && span.first < out.back().second) {
            fail(Failure::Input,
                 "{}: what the assistant says in message {} overlaps with a message before; use a template with {{% generation %}}",
                 origin_, i + 1);
        }
        if (span.first < span.second) out.push_back(span);
    }
    return out;
}

AssistantSpans::Span AssistantSpans::find(std::size_t message) const {
    const auto content = locate_content(message);
    const auto begin = begin_of(message, content);
    const auto end = begin ? end_of(message, *begin, content) : std::nullopt;
    if (!end) {
        fail(Failure::Input,
             "{}: what the assistant says in message {} cannot be found in the rendered conversation: the template changes or leaves out "
             "earlier "
             "messages depending on later ones; use a template that marks it with {{% generation %}} (data.chat_template)",
             origin_, message + 1);
    }
    return {*begin, without_trailing_space(message, *begin, *end)};
}

std::optional<AssistantSpans::Content> AssistantSpans::locate_content(std::size_t message) const {
    const auto found = messages_[message].find("content");
    if (found == messages_[message].end() || !(found->is_string() || found->is_array())) return std::nullopt;
    ChatMessages replaced = messages_;
    const std::string placeholder(kPlaceholder);
    replaced[message]["content"] =
        found->is_string() ? ChatMessages(placeholder) : ChatMessages::array({{{"type", "text"}, {"text", placeholder}}});
    const auto place = [&](const ChatMessages& conversation) -> std::optional<std::pair<std::string, std::string>> {
        const auto text = try_render(conversation, false);
        const std::size_t at = text ? text->find(kPlaceholder) : std::string::npos;
        if (at == std::string::npos || text->find(kPlaceholder, at + 1) != std::string::npos) return std::nullopt;
        return std::pair(text->substr(0, at), text->substr(at + kPlaceholder.size()));
    };
    const auto around = place(replaced);
    if (!around) return std::nullopt;
    const auto& [head, tail] = *around;
    if (head.size() + tail.size() > text_.size() || !text_.starts_with(head) || !text_.ends_with(tail)) return std::nullopt;
    replaced.erase(replaced.begin() + static_cast<std::ptrdiff_t>(message) + 1, replaced.end());
    const auto last = place(replaced);
    return Content{head.size(), text_.size() - tail.size(), last ? last->second : tail};
}

/// After the generation prompt; where the template has none, after the header that it writes before the content.
std::optional<std::size_t> AssistantSpans::begin_of(std::size_t message, const std::optional<Content>& content) const {
    const auto prompt = try_render(first(message), true);
    if (!prompt || !text_.starts_with(*prompt)) return content ? std::optional(content->begin) : std::nullopt;
    const bool has_prompt = try_render(first(message), false) != prompt;
    if (!has_prompt && content && content->begin > prompt->size() &&
        !is_blank(from(prompt->size()).substr(0, content->begin - prompt->size()))) {
        return content->begin;
    }
    return prompt->size();
}

/// Where the conversation would end if this message were the last; where that depends on what follows, after the content and
/// as much behind it as does not depend on it: the token that ends the turn.
std::optional<std::size_t> AssistantSpans::end_of(std::size_t message, std::size_t begin, const std::optional<Content>& content) const {
    const auto until = try_render(first(message + 1), false);
    if (until && until->size() >= begin && text_.starts_with(*until)) return until->size();
    if (!content) return until ? end_by_suffix(message, begin, *until) : std::nullopt;
    if (content->end < begin) return std::nullopt;
    const std::string_view tail = from(content->end);
    std::size_t common = common_prefix(tail, content->tail_if_last);
    if (common == content->tail_if_last.size() || common == tail.size()) return content->end + common;
    while (common > 0 && std::string_view(">] \t\r\n").find(tail[common - 1]) == std::string_view::npos) --common;  // not half a token
    return content->end + common;
}

/// For a message without content, of tool calls: what the template writes for it as the last message ends in what it writes for
/// it here, before which it may put more (an empty <think></think>).
std::optional<std::size_t> AssistantSpans::end_by_suffix(std::size_t message, std::size_t begin, const std::string& until) const {
    if (until.size() < begin || text_.compare(0, begin, until, 0, begin) != 0) return std::nullopt;
    const std::string_view last = std::string_view(until).substr(begin);
    const auto calls = messages_[message].find("tool_calls");
    if (calls == messages_[message].end() || !calls->is_array() || calls->empty()) return std::nullopt;
    for (std::size_t skip = 0; skip < last.size(); ++skip) {
        const std::string_view said = last.substr(skip);
        if (!from(begin).starts_with(said)) continue;
        const bool whole = std::all_of(calls->begin(), calls->end(), [&](const ChatMessages& call) {
            const ChatMessages& function = call.is_object() && call.contains("function") ? call["function"] : call;
            const auto name = function.is_object() ? function.find("name") : function.end();
            return name != function.end() && name->is_string() && said.find(name->get<std::string>()) != std::string_view::npos;
        });
        return whole ? std::optional(begin + said.size()) : std::nullopt;
    }
    return std::nullopt;
}

/// White space behind the token that ends the turn is written by the template. Behind a content that no token ends it is all
/// there is to stop at, and stays.
std::size_t AssistantSpans::without_trailing_space(std::size_t message, std::size_t begin, std::size_t end) const {
    const std::string_view span = from(begin).substr(0, end - begin);
    const std::size_t last = span.find_last_not_of(kSpace);
    if (last == std::string_view::npos) return end;
    const std::string content = content_text(messages_[message]);
    const std::string_view said = stripped(content);
    if (!said.empty() && span.substr(0, last + 1).ends_with(said)) return end;
    return begin + last + 1;
}

}  // namespace tandem
