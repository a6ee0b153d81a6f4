// `tandem tokenize` as a user runs it.
#include "src/tokenizer/tokenizer.h"
#include "tests/support/program.h"
#include "tests/tokenizer/tokenizer_test_files.h"

namespace tandem {
namespace {

using test::Arguments;
using test::Finished;
using test::operator+;

Finished tokenize(const std::string& model, const std::string& input, const Arguments& more = {}) {
    test::Launch launch;
    launch.input = input;
    return test::run_program(Arguments{"tokenize", "--model", test::model(model).string()} + more, launch);
}

std::string templates(const std::string& name) { return (test::here() / "templates" / (name + ".jinja")).string(); }

TEST(TokenizeCommand, LinesEndAtNewlinesAlone) {
    const auto done = tokenize("llama3", std::string("ab\r\n\n\xE2\x80\xA8x\0y\nlast", 16));
    EXPECT_EQ(done.code, 0) << done.err;
    const auto tokenizer = Tokenizer::load(test::model("llama3"));
    std::string expected;
    for (const auto& line : {std::string("ab\r"), std::string(), std::string("\xE2\x80\xA8x\0y", 6), std::string("last")}) {
        expected += nlohmann::json(tokenizer.encode(line, AddSpecial::Yes)).dump() + "\n";
    }
    EXPECT_EQ(done.out, expected);
}

TEST(TokenizeCommand, DecodesOneStringALine) {
    const auto done = tokenize("gpt2", "[39, 72]\n[]\n", {"--decode"});
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_EQ(done.out, "\"Hi\"\n\"\"\n");
}

TEST(TokenizeCommand, ChatAddsNoGenerationPromptUnlessAsked) {
    const std::string input = R"([{"role": "user", "content": "hi"}])"
                              "\n";
    const Arguments chat = {"--chat", "--chat-template", templates("chatml")};
    const auto plain = tokenize("smollm", input, chat), prompted = tokenize("smollm", input, chat + Arguments{"--generation-prompt"});
    const auto tokenizer = Tokenizer::load(test::model("smollm"));
    const std::string text = "<|im_start|>user\nhi<|im_end|>\n";
    EXPECT_EQ(plain.out, nlohmann::json(tokenizer.encode(text, AddSpecial::No)).dump() + "\n") << plain.err;
    EXPECT_EQ(prompted.out, nlohmann::json(tokenizer.encode(text + "<|im_start|>assistant\n", AddSpecial::No)).dump() + "\n")
        << prompted.err;
}

TEST(TokenizeCommand, NamesTheBadLine) {
    const std::vector<std::tuple<std::string, Arguments, std::string>> cases = {
        {"good\nb\xff"
         "d\n",
         {},
         "stdin:2"},
        {"[1]\nnonsense\n", {"--decode"}, "stdin:2"},
        {"[1]\n[1]\n{\"a\": 1}\n", {"--decode"}, "stdin:3"},
        {"[1.5]\n", {"--decode"}, "stdin:1"},
        {"[{\"role\": \"user\", \"content\": \"x\"}]\n[{\"role\": \"user\"}]\n",
         {"--chat", "--chat-template", templates("chatml")},
         "stdin:2"}};
    for (const auto& [input, arguments, place] : cases) {
        const auto done = tokenize("smollm", input, arguments);
        EXPECT_EQ(done.code, 3) << place;
        EXPECT_NE(done.err.find(place), std::string::npos) << done.err;
    }
    EXPECT_FALSE(tokenize("smollm", "good\nb\xff\n").out.empty());  // what was right before it is answered
}

TEST(TokenizeCommand, RefusesOptionsThatContradictEachOther) {
    EXPECT_EQ(tokenize("smollm", "", {"--decode", "--chat"}).code, 2);
    EXPECT_EQ(tokenize("smollm", "", {"--generation-prompt"}).code, 2);
    EXPECT_EQ(tokenize("absent", "").code, 2);
    EXPECT_EQ(tokenize("smollm", "[]\n", {"--chat"}).code, 3);  // no template
    EXPECT_EQ(tokenize("smollm", "[]\n", {"--chat", "--chat-template", "absent.jinja"}).code, 2);
}

}  // namespace
}  // namespace tandem
