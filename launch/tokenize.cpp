// tandem tokenize: lines on stdin to token ids on stdout, or back.
#include <iostream>

#include "launch/command.h"
#include "launch/options.h"
#include "parallel/runtime.h"
#include "src/io/json.h"
#include "src/io/model_directory.h"
#include "src/tokenizer/chat_template.h"
#include "src/tokenizer/tokenizer.h"

namespace tandem {
namespace {

struct Request {
    std::string model;
    std::optional<std::string> chat_template;
    bool decode = false, chat = false, generation_prompt = false;
};

std::string as_json(const std::vector<std::int32_t>& ids) { return Json(ids).dump(); }

/// One line of stdin and its number, from 1.
struct Line {
    std::string text;
    std::size_t number = 0;
};

std::string decoded(const Tokenizer& tokenizer, const Line& line) {
    const Json ids = parse_json(line.text, "stdin", line.number);
    if (!ids.is_array()) fail(Failure::Input, "expected a JSON array of token ids, found {}", ids.type_name());
    std::vector<std::int32_t> list;
    for (const auto& id : ids) list.push_back(json_detail::convert<std::int32_t>(id, "token id", "the array"));
    return dump_json(tokenizer.decode(list, SkipSpecial::No));
}

/// As apply_chat_template of transformers: the template writes the special tokens, the tokenizer adds none.
std::string chat_ids(const Tokenizer& tokenizer, const ChatTemplate& chat_template, const Line& line, bool generation_prompt) {
    (void)parse_json(line.text, "stdin", line.number);  // for its message: where the JSON is wrong
    const auto messages = ChatMessages::parse(line.text);
    if (!messages.is_array()) fail(Failure::Input, "expected a JSON list of messages, found {}", messages.type_name());
    return as_json(tokenizer.encode(chat_template.render(messages, generation_prompt), AddSpecial::No));
}

/// Answers each line before it waits for the next one; what can be had without waiting is written at once.
void answer_lines(const Runtime& runtime, const std::function<std::string(const Line&)>& answer) {
    std::ios::sync_with_stdio(false);
    Line line;
    std::string out;
    while (std::getline(std::cin, line.text)) {
        ++line.number;
        try {
            out += answer(line) + "\n";
        } catch (const Error& error) {
            print_once(runtime, out);
            if (error.failure() != Failure::Input) throw;
            const bool placed = std::string_view(error.what()).starts_with("stdin:");
            fail(Failure::Input, "{}{}", placed ? "" : fmt::format("stdin:{}: ", line.number), error.what());
        }
        if (out.size() < (1U << 16U) && std::cin.rdbuf()->in_avail() > 0) continue;
        print_once(runtime, out);
        out.clear();
    }
    print_once(runtime, out);
    if (std::cin.bad()) fail(Failure::Run, "stdin cannot be read");
}

void check(const Request& request) {
    if (request.decode && request.chat) fail(Failure::Configuration, "--decode and --chat exclude each other");
    if (request.generation_prompt && !request.chat) fail(Failure::Configuration, "--generation-prompt needs --chat");
    if (request.chat_template && !request.chat) fail(Failure::Configuration, "--chat-template needs --chat");
    require_model("--model", request.model);
}

int run(Runtime& runtime, const std::vector<std::string>& words) {
    Request request;
    CommandLine line(tokenize_command, runtime);
    line.option("model", request.model, "Hugging Face directory with a tokenizer.json, or a GGUF file").required();
    line.flag("decode", request.decode, "JSON arrays of ids on stdin to one JSON string a line");
    line.flag("chat", request.chat, "a JSON list of messages a line, through the model's chat template");
    line.flag("generation-prompt", request.generation_prompt, "with --chat: end with what precedes the assistant's answer");
    line.option("chat-template", request.chat_template, "with --chat: this template file instead, or one of the model's by its name");
    if (!line.parse(words) || runtime.rank() != 0) return 0;  // one rank's work, also under a launcher
    check(request);

    const auto tokenizer = Tokenizer::load(request.model);
    if (request.decode) {
        answer_lines(runtime, [&](const Line& text) { return decoded(tokenizer, text); });
    } else if (request.chat) {
        const auto chat = ChatTemplate::load(request.model, request.chat_template);
        if (!chat) fail(Failure::Input, "{} has no chat template (chat_template.jinja, tokenizer_config.json)", request.model);
        answer_lines(runtime, [&](const Line& text) { return chat_ids(tokenizer, *chat, text, request.generation_prompt); });
    } else {
        answer_lines(runtime, [&](const Line& text) { return as_json(tokenizer.encode(text.text, AddSpecial::Yes)); });
    }
    return 0;
}

}  // namespace

const Command tokenize_command = {"tokenize", "--model DIR [--decode | --chat [--generation-prompt] [--chat-template FILE]] < LINES",
                                  "lines of text on stdin to one JSON array of token ids a line, or back", run};

}  // namespace tandem
