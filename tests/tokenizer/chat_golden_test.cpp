// Chat templates of real families, rendered as transformers renders them with jinja2 (make_golden.py).
#include "src/tokenizer/chat_template.h"
#include "tests/tokenizer/tokenizer_test_files.h"

namespace tandem {
namespace {

class ChatGolden : public testing::TestWithParam<std::string> {};

TEST_P(ChatGolden, TextEqualsTransformers) {
    const auto file = test::here() / "templates" / (GetParam() + ".jinja");
    const auto chat = ChatTemplate::from_string(read_file(file), file.string(), {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
    const auto expected = test::json_of(test::here() / "chat.json").at(GetParam());
    const auto conversations = test::json_of(test::here() / "conversations.json");
    ASSERT_EQ(expected.size(), conversations.size());
    for (const auto& [name, messages] : conversations.items()) {
        for (const bool prompt : {false, true}) {
            SCOPED_TRACE(name + (prompt ? ", with generation prompt" : ""));
            const auto& golden = expected.at(name)[prompt ? 1 : 0];
            if (golden.contains("text")) {
                EXPECT_EQ(chat.render(messages, prompt), golden["text"].get<std::string>());
            } else {
                const auto error = test::error_of([&, &m = messages] { (void)chat.render(m, prompt); });
                test::expect_message(error, Failure::Input, {file.string() + ":"});
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Templates, ChatGolden,
                         testing::Values("chatml", "smollm2", "zephyr", "mistral-v0.1", "mistral-v0.3", "llama2", "llama3.1", "qwen2.5",
                                         "qwen3", "phi3", "gemma", "generation", "features"),
                         [](const auto& instance) {
                             std::string name = instance.param;
                             for (char& c : name) c = c == '.' || c == '-' ? '_' : c;
                             return name;
                         });

}  // namespace
}  // namespace tandem
