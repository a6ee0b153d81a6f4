// What the assistant says in a rendered conversation, found by rendering variations of it: for templates that do not mark it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/tokenizer/chat_template.h"

namespace tandem {

class AssistantSpans {
public:
    using Span = std::pair<std::size_t, std::size_t>;
    using Render = std::function<std::string(const ChatMessages&, bool add_generation_prompt)>;

    /// `text` is render(messages, false). All must outlive this.
    AssistantSpans(const ChatMessages& messages, const std::string& text, const Render& render, const std::string& origin)
        : messages_(messages), text_(text), render_(render), origin_(origin) {}

    /// Bytes of the text, one span for each message of the assistant. Throws Input naming template and message.
    [[nodiscard]] std::vector<Span> find_all() const;

private:
    /// Where a message's content begins and ends in the text, found by putting something else in its place.
    struct Content {
        std::size_t begin, end;
        std::string tail_if_last;  ///< what would follow the content if the conversation ended with this message
    };
    [[nodiscard]] Span find(std::size_t message) const;
    [[nodiscard]] std::optional<Content> locate_content(std::size_t message) const;
    [[nodiscard]] std::optional<std::size_t> begin_of(std::size_t message, const std::optional<Content>& content) const;
    [[nodiscard]] std::optional<std::size_t> end_of(std::size_t message, std::size_t begin, const std::optional<Content>& content) const;
    [[nodiscard]] std::optional<std::size_t> end_by_suffix(std::size_t message, std::size_t begin, const std::string& until) const;
    [[nodiscard]] std::size_t without_trailing_space(std::size_t message, std::size_t begin, std::size_t end) const;
    [[nodiscard]] ChatMessages first(std::size_t count) const;
    /// Nothing where the template refuses the conversation.
    [[nodiscard]] std::optional<std::string> try_render(const ChatMessages& messages, bool add_generation_prompt) const;
    [[nodiscard]] std::string_view from(std::size_t at) const { return std::string_view(text_).substr(at); }

    const ChatMessages& messages_;
    const std::string& text_;
    const Render& render_;
    const std::string& origin_;
};

}  // namespace tandem
