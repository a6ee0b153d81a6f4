// What is trained of a conversation: spans of the text, and the tokens in them.
#include "src/tokenizer/chat_template.h"
#include "tests/tokenizer/tokenizer_test_files.h"

namespace tandem {
namespace {

using test::error_of;
using test::expect_message;

ChatTemplate from_text(const std::string& source) {
    return ChatTemplate::from_string(source, "test.jinja", {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
}
ChatTemplate from_file(const std::string& name) { return from_text(read_file(test::here() / "templates" / (name + ".jinja"))); }

std::vector<std::string> trained_texts(const ChatTemplate& chat, const ChatMessages& messages) {
    const auto rendered = chat.render_for_training(messages);
    EXPECT_EQ(rendered.text, chat.render(messages, false));
    std::vector<std::string> out;
    for (const auto& [begin, end] : rendered.trained) out.push_back(rendered.text.substr(begin, end - begin));
    return out;
}

ChatMessages dialog(const std::vector<std::string>& turns) {
    ChatMessages out = ChatMessages::array();
    for (std::size_t i = 0; i < turns.size(); ++i) out.push_back({{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", turns[i]}});
    return out;
}

TEST(ChatTraining, SpansOfRealTemplates) {
    const auto expected = test::json_of(test::here() / "spans.json");
    const auto conversations = test::json_of(test::here() / "conversations.json");
    std::size_t compared = 0;
    for (const auto& [name, by_conversation] : expected.items()) {
        const auto chat = from_file(name);
        for (const auto& [conversation, spans] : by_conversation.items()) {
            SCOPED_TRACE(name + ": " + conversation);
            EXPECT_EQ(trained_texts(chat, conversations.at(conversation)), spans.get<std::vector<std::string>>());
            ++compared;
        }
    }
    EXPECT_GT(compared, 120U);
}

TEST(ChatTraining, TheStopTokenIsTrainedAndTheNewlineBehindItIsNot) {
    const std::vector<std::string> expected = {"one<|im_end|>", "two<|im_end|>"};
    EXPECT_EQ(trained_texts(from_file("chatml"), dialog({"q", "one", "r", "two"})), expected);
    EXPECT_EQ(trained_texts(from_file("generation"), dialog({"q", "one", "r", "two"})), expected);
}

TEST(ChatTraining, EarlierTurnsThatChangeAreFoundAllTheSame) {
    // The thoughts of the first answer are gone once a second question is asked.
    const auto messages = dialog({"q", "<think>\nhm\n</think>\n\none", "r", "<think>\nso\n</think>\n\ntwo"});
    EXPECT_EQ(trained_texts(from_file("qwen3"), messages),
              (std::vector<std::string>{"one<|im_end|>", "<think>\nso\n</think>\n\ntwo<|im_end|>"}));
}

TEST(ChatTraining, WithoutAGenerationPromptTheHeaderIsNotTrained) {
    const auto chat = from_text("{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}</s>\n{% endfor %}");
    EXPECT_EQ(trained_texts(chat, dialog({"q", "one", "r", "two"})), (std::vector<std::string>{"one</s>", "two</s>"}));
}

TEST(ChatTraining, ALineEndThatAloneEndsTheTurnIsTrained) {
    const auto chat = from_text(
        "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ '\\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}");
    EXPECT_EQ(trained_texts(chat, dialog({"q", "one"})), (std::vector<std::string>{"one\n"}));
}

TEST(ChatTraining, RefusesWhatCannotBeFound) {
    // Later messages decide how earlier ones are written, so that no prefix and no replacement holds.
    const auto chat =
        from_text("{% for m in messages %}[{{ m.content | length }}{{ messages | length }}]{% endfor %}{{ messages | length }}");
    expect_message(error_of([&] {
                       (void)chat.render_for_training(dialog({"q", "one", "r", "two"}));
                   }),
                   Failure::Input, {"test.jinja", "message 2", "{% generation %}"});
}

TEST(ChatTokens, EveryAnswerEndsInATrainedStopTokenAndReadsAsWritten) {
    const std::vector<std::pair<std::string, std::string>> pairs = {
        {"smollm", "smollm2"}, {"smollm", "chatml"},        {"qwen2", "qwen2.5"}, {"llama3", "llama3.1"},
        {"gemma", "gemma"},    {"mistral", "mistral-v0.3"}, {"phi3", "phi3"},     {"llama2", "llama2"}};
    for (const auto& [model, name] : pairs) {
        SCOPED_TRACE(model + ", " + name);
        const auto tokenizer = Tokenizer::load(test::model(model));
        const auto bos = tokenizer.bos();
        const auto config = test::json_of(test::model(model) / "tokenizer_config.json");
        ChatMessages special = ChatMessages::object();
        for (const auto& [key, value] : config.items()) {
            if (key.ends_with("_token") && value.is_string()) special[key] = value;
        }
        const auto file = test::here() / "templates" / (name + ".jinja");
        const auto chat = ChatTemplate::from_string(read_file(file), file.string(), special);
        const auto messages = dialog({"What is 2 + 2?", "It is 4.", "Größe 🙂?", "Да, 你好 é"});
        const auto tokens = tokenize_chat(tokenizer, chat, messages);
        ASSERT_EQ(tokens.ids.size(), tokens.trained.size());
        EXPECT_EQ(tokens.ids, tokenizer.encode(chat.render(messages, false), AddSpecial::No));
        std::vector<std::string> said;
        for (std::size_t i = 0; i < tokens.ids.size(); ++i) {
            if (tokens.trained[i] == 0) continue;
            std::size_t end = i;
            while (end < tokens.ids.size() && tokens.trained[end] != 0) ++end;
            const std::vector<std::int32_t> run(tokens.ids.begin() + static_cast<std::ptrdiff_t>(i),
                                                tokens.ids.begin() + static_cast<std::ptrdiff_t>(end));
            EXPECT_TRUE(tokenizer.is_special(run.back()));
            std::string text = tokenizer.decode(run, SkipSpecial::Yes);
            text.erase(0, text.find_first_not_of(' '));
            text.erase(text.find_last_not_of(" \n") + 1);
            said.push_back(text);
            i = end;
        }
        EXPECT_EQ(said, (std::vector<std::string>{"It is 4.", "Да, 你好 é"}));
        if (bos && name != "smollm2" && name != "chatml" && name != "llama2" && name != "phi3") {
            EXPECT_EQ(std::count(tokens.ids.begin(), tokens.ids.end(), *bos), 1);
            EXPECT_EQ(tokens.ids.front(), *bos);
        }
    }
}

TEST(ChatTemplate, IsFoundWhereTransformersFindsIt) {
    const test::Folder folder;
    EXPECT_FALSE(ChatTemplate::load(folder.path()));
    const auto text = [&](const std::optional<std::string>& override = {}) {
        return ChatTemplate::load(folder.path(), override)->render(dialog({"q"}), false);
    };
    folder.write("chat_template.json", R"({"chat_template": "json"})");
    EXPECT_EQ(text(), "json");
    folder.write("tokenizer_config.json", R"({"bos_token": {"content": "<b>"}, "chat_template": "config{{ bos_token }}"})");
    EXPECT_EQ(text(), "config<b>");
    folder.write(
        "tokenizer_config.json",
        R"({"chat_template": [{"name": "rag", "template": "R"}, {"name": "default", "template": "D{{ eos_token is defined }}"}]})");
    EXPECT_EQ(text(), "DFalse");
    EXPECT_EQ(text("rag"), "R");
    folder.write("chat_template.jinja", "file");
    EXPECT_EQ(text(), "file");
    folder.write("mine.jinja", "mine");
    EXPECT_EQ(text((folder.path() / "mine.jinja").string()), "mine");
    expect_message(error_of([&] { (void)text("absent"); }), Failure::Configuration, {"absent", "tokenizer_config.json"});
    std::filesystem::remove(folder.path() / "chat_template.jinja");
    folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "R"}]})");
    expect_message(error_of([&] { (void)text(); }), Failure::Input, {"tokenizer_config.json", "rag", "default"});
}

TEST(ChatTemplate, SourceIsWhatRenderingsDependOn) {
    const auto a = ChatTemplate::from_string("x{{ bos_token }}", "a", {{"bos_token", "<s>"}});
    EXPECT_EQ(a.source(), ChatTemplate::from_string("x{{ bos_token }}", "b", {{"bos_token", "<s>"}}).source());
    EXPECT_NE(a.source(), ChatTemplate::from_string("x{{ bos_token }}", "a", {{"bos_token", "<t>"}}).source());
    EXPECT_NE(a.source(), ChatTemplate::from_string("y{{ bos_token }}", "a", {{"bos_token", "<s>"}}).source());
}

}  // namespace
}  // namespace tandem
