// Conversations to text by a model's chat template, and which part of that text the assistant says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/tokenizer/tokenizer.h"

namespace tandem {

/// JSON whose objects keep the order of their members, which templates can see (`tojson` of tool calls). Plain nlohmann::json
/// converts to it, but has its members in alphabetical order by then.
using ChatMessages = nlohmann::ordered_json;

/// Immutable; every const function may be called from several threads at once.
class ChatTemplate {
public:
    /// The template of a Hugging Face model directory as transformers finds it: chat_template.jinja, "chat_template" of
    /// tokenizer_config.json (a text, or a list of named ones of which "default" is taken), chat_template.json; nothing if
    /// there is none. `override` is a template file to use instead, or the name of one in that list. Throws Configuration for
    /// an override that is neither, Input for what is inside a file, naming file and line.
    static std::optional<ChatTemplate> load(const std::filesystem::path& model_directory, const std::optional<std::string>& override = {});

    /// `origin` is what messages call the template; `special_tokens` are variables of the template ({"bos_token": "<s>"}).
    static ChatTemplate from_string(const std::string& source, const std::string& origin, ChatMessages special_tokens);

    /// `messages`: a list of {"role": ..., "content": ...}. Throws Input naming template and line for what the template
    /// refuses (raise_exception) or cannot do.
    [[nodiscard]] std::string render(const ChatMessages& messages, bool add_generation_prompt) const;

    struct Rendered {
        std::string text;
        std::vector<std::pair<std::size_t, std::size_t>> trained;  ///< bytes [begin, end) of `text`, ascending
    };
    /// The whole conversation without a generation prompt, and what the assistant says in it: what the template puts inside
    /// {% generation %}; without that tag, for each of its messages what comes after the generation prompt, up to and with
    /// the token that ends the turn. White space behind that token is not the assistant's. Throws Input where this cannot be
    /// told from what the template does.
    [[nodiscard]] Rendered render_for_training(const ChatMessages& messages) const;

    /// Everything that renderings depend on but the messages (and, for a template that asks for it, the date).
    [[nodiscard]] const std::string& source() const;

private:
    struct State;
    explicit ChatTemplate(std::shared_ptr<const State> state) : state_(std::move(state)) {}
    std::shared_ptr<const State> state_;
};

struct ChatTokens {
    std::vector<std::int32_t> ids;
    std::vector<std::uint8_t> trained;  ///< 1 where the id is to be learnt, one for each id
};

/// The conversation as one text through the tokenizer, which adds nothing: its beginning is what the template writes, as
/// apply_chat_template of transformers has it. A token is trained if any byte of it lies in a trained range, so that a token
/// that straddles the beginning or the end of an answer counts.
[[nodiscard]] ChatTokens tokenize_chat(const Tokenizer& tokenizer, const ChatTemplate& chat_template, const ChatMessages& messages);

}  // namespace tandem
