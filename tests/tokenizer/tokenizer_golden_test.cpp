// Ids, special tokens and decoded texts of ten families of tokenizers, as the `tokenizers` library gives them (make_golden.py).
#include "src/tokenizer/tokenizer.h"
#include "src/tokenizer/unicode.h"
#include "tests/tokenizer/tokenizer_test_files.h"

namespace tandem {
namespace {

class Golden : public testing::TestWithParam<const char*> {
protected:
    const Tokenizer tokenizer = Tokenizer::load(test::model(GetParam()));
    const std::vector<std::string> strings = test::json_of(test::here() / "strings.json").get<std::vector<std::string>>();
    const nlohmann::ordered_json expected = test::json_of(test::model(GetParam()) / "ids.json");
};

TEST_P(Golden, IdsAndTextsEqualTheLibrarys) {
    ASSERT_EQ(strings.size(), expected.size());
    ASSERT_GT(strings.size(), 90U);
    for (std::size_t i = 0; i < strings.size(); ++i) {
        SCOPED_TRACE(nlohmann::json(strings[i]).dump());
        const auto ids = tokenizer.encode(strings[i], AddSpecial::No);
        EXPECT_EQ(ids, expected[i]["ids"].get<std::vector<std::int32_t>>());
        EXPECT_EQ(tokenizer.encode(strings[i], AddSpecial::Yes), expected[i]["framed"].get<std::vector<std::int32_t>>());
        EXPECT_EQ(tokenizer.decode(ids, SkipSpecial::No), expected[i]["decoded"].get<std::string>());
        EXPECT_EQ(tokenizer.decode(ids, SkipSpecial::Yes), expected[i]["plain"].get<std::string>());
    }
}

TEST_P(Golden, OffsetsAreCharactersOfTheTextInOrder) {
    for (const auto& text : strings) {
        SCOPED_TRACE(nlohmann::json(text).dump());
        const auto ids = tokenizer.encode(text, AddSpecial::Yes);
        const auto tokens = tokenizer.encode_with_offsets(text, AddSpecial::Yes);
        ASSERT_EQ(tokens.size(), ids.size());
        std::size_t before = 0;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            EXPECT_EQ(tokens[i].id, ids[i]);
            EXPECT_LE(tokens[i].begin, tokens[i].end);
            ASSERT_LE(tokens[i].end, text.size());
            EXPECT_GE(tokens[i].begin, before);
            before = tokens[i].begin;
            for (const std::size_t at : {tokens[i].begin, tokens[i].end})
                EXPECT_TRUE(at == text.size() || !unicode::is_continuation(text[at]));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Families, Golden,
                         testing::Values("gpt2", "llama3", "qwen2", "llama2", "mistral", "gemma", "smollm", "tekken", "phi3", "mixture"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace tandem
