#include "src/tokenizer/chat_template.h"

#include "src/io/files.h"
#include "src/io/json.h"
#include "src/io/model_directory.h"
#include "src/tokenizer/assistant_spans.h"
#include "src/tokenizer/jinja/template.h"

namespace tandem {

struct ChatTemplate::State {
    jinja::Template compiled;
    ChatMessages special_tokens;
    std::string source;
};

namespace {

/// The tokens that tokenizer_config.json and special_tokens_map.json name: "bos_token", "eos_token", and what else ends so.
ChatMessages special_tokens_of(const std::filesystem::path& model_directory) {
    ChatMessages out = ChatMessages::object();
    for (const char* name : {"special_tokens_map.json", "tokenizer_config.json"}) {
        const auto file = model_directory / name;
        if (!has_model_file(file)) continue;
        const Json json = read_model_json(file);
        for (const auto& [key, value] : json.items()) {
            if (!key.ends_with("_token")) continue;
            if (value.is_string()) out[key] = value.get<std::string>();
            else if (value.is_object() && value.contains("content")) out[key] = get<std::string>(value, "content", file);
        }
    }
    return out;
}

/// "chat_template" of a JSON file: one text, or a list of {"name", "template"}; `wanted` picks from the list.
std::optional<std::string> template_in(const std::filesystem::path& file, const std::optional<std::string>& wanted) {
    if (!has_model_file(file)) return std::nullopt;
    const Json json = read_model_json(file);
    const auto found = json.find("chat_template");
    if (!json.is_object() || found == json.end() || found->is_null()) return std::nullopt;
    if (found->is_string()) return wanted ? std::nullopt : std::optional(found->get<std::string>());
    std::string names;
    for (const auto& entry : get<std::vector<Json>>(json, "chat_template", file)) {
        const auto name = get<std::string>(entry, "name", file);
        if (name == wanted.value_or("default")) return get<std::string>(entry, "template", file);
        names += (names.empty() ? "" : ", ") + name;
    }
    if (wanted) return std::nullopt;
    fail(Failure::Input, R"({}: none of the chat templates ({}) is named "default"; choose one with data.chat_template)", file.string(),
         names);
}

struct Found {
    std::string source, origin;
};

std::optional<Found> find_template(const std::filesystem::path& model_directory, const std::optional<std::string>& wanted) {
    const auto config = model_directory / "tokenizer_config.json", json = model_directory / "chat_template.json";
    std::error_code ignored;
    if (wanted && std::filesystem::is_regular_file(*wanted, ignored)) return Found{read_file(*wanted), *wanted};
    const auto plain = model_directory / "chat_template.jinja";
    if (!wanted && has_model_file(plain)) return Found{read_model_file(plain), plain.string()};
    for (const auto& file : {config, json}) {
        if (auto source = template_in(file, wanted)) return Found{std::move(*source), file.string() + ", chat_template"};
    }
    if (!wanted) return std::nullopt;
    fail(Failure::Configuration, "the chat template {} is neither a file nor the name of a template in {}", *wanted, config.string());
}

/// What a model thought before it answered has had several names; templates read one of them.
void alias_reasoning(ChatMessages& message) {
    for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
        if (!message.contains(name) || message[name].is_null()) continue;
        const ChatMessages reasoning = message[name];
        if (!message.contains("thinking")) message["thinking"] = reasoning;
        message["reasoning_content"] = reasoning;
        return;
    }
}

ChatMessages variables_of(const ChatMessages& messages, bool add_generation_prompt, const ChatMessages& special_tokens,
                          const std::string& origin) {
    if (!messages.is_array()) fail(Failure::Input, "{}: a conversation must be a list of messages", origin);
    ChatMessages variables = special_tokens;
    variables["messages"] = messages;
    for (auto& message : variables["messages"]) {
        if (!message.is_object()) fail(Failure::Input, "{}: a message must be an object, found {}", origin, message.type_name());
        alias_reasoning(message);
    }
    variables["tools"] = nullptr;
    variables["documents"] = nullptr;
    variables["add_generation_prompt"] = add_generation_prompt;
    return variables;
}

}  // namespace

std::optional<ChatTemplate> ChatTemplate::load(const std::filesystem::path& model_directory, const std::optional<std::string>& override) {
    const auto found = find_template(model_directory, override);
    if (!found) return std::nullopt;
    return from_string(found->source, found->origin, special_tokens_of(model_directory));
}

ChatTemplate ChatTemplate::from_string(const std::string& source, const std::string& origin, ChatMessages special_tokens) {
    std::string key = source + "\n" + special_tokens.dump();
    return ChatTemplate(std::make_shared<const State>(State{jinja::Template(source, origin), std::move(special_tokens), std::move(key)}));
}

std::string ChatTemplate::render(const ChatMessages& messages, bool add_generation_prompt) const {
    const auto& origin = state_->compiled.origin();
    return state_->compiled.render(variables_of(messages, add_generation_prompt, state_->special_tokens, origin)).text;
}

ChatTemplate::Rendered ChatTemplate::render_for_training(const ChatMessages& messages) const {
    const auto& origin = state_->compiled.origin();
    auto full = state_->compiled.render(variables_of(messages, false, state_->special_tokens, origin));
    Rendered out{std::move(full.text), std::move(full.generated)};
    if (state_->compiled.marks_generation()) return out;
    const auto again = [&](const ChatMessages& other, bool prompt) { return render(other, prompt); };
    out.trained = AssistantSpans(messages, out.text, again, origin).find_all();
    return out;
}

const std::string& ChatTemplate::source() const { return state_->source; }

}  // namespace tandem
