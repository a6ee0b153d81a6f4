// The model alone: merges in both notations, unknown characters, bytes, affixes.
#include "src/tokenizer/bpe.h"

#include "tests/tokenizer/tokenizer_test_files.h"

namespace tandem {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

Ids encode(const json& model, std::string_view word) {
    std::vector<Symbol> symbols;
    Bpe(model, "tokenizer.json").encode(word, symbols);
    Ids ids;
    std::size_t bytes = 0;
    for (const Symbol& symbol : symbols) {
        ids.push_back(symbol.id);
        bytes += symbol.bytes;
    }
    EXPECT_LE(bytes, word.size());
    return ids;
}

json letters() {
    return {{"type", "BPE"},
            {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"bc", 4}, {"abc", 5}, {"aa", 6}, {"?", 7}}},
            {"merges", {"b c", "a b", "a bc", "a a"}}};
}

TEST(Bpe, MergesTheLowestRankFirstAndFromTheLeft) {
    EXPECT_EQ(encode(letters(), "abc"), (Ids{5}));
    EXPECT_EQ(encode(letters(), "ab"), (Ids{3}));
    EXPECT_EQ(encode(letters(), "aaa"), (Ids{6, 0}));
    EXPECT_EQ(encode(letters(), "aaab"), (Ids{6, 3}));
    EXPECT_EQ(encode(letters(), ""), (Ids{}));
}

TEST(Bpe, ReadsMergesAsPairs) {
    auto model = letters();
    model["merges"] = json::parse(R"([["b", "c"], ["a", "b"], ["a", "bc"], ["a", "a"]])");
    EXPECT_EQ(encode(model, "abcab"), (Ids{5, 3}));
}

TEST(Bpe, IgnoreMergesTakesWholeWordsOfTheVocabulary) {
    auto model = letters();
    model["merges"] = json::array();
    EXPECT_EQ(encode(model, "abc"), (Ids{0, 1, 2}));
    model["ignore_merges"] = true;
    EXPECT_EQ(encode(model, "abc"), (Ids{5}));
    EXPECT_EQ(encode(model, "abcb"), (Ids{0, 1, 2, 1}));
}

TEST(Bpe, UnknownCharactersVanishOrBecomeTheUnknownToken) {
    auto model = letters();
    EXPECT_EQ(encode(model, "axya"), (Ids{6}));  // as the library has it: what is left may merge
    model["unk_token"] = "?";
    EXPECT_EQ(encode(model, "axyb"), (Ids{0, 7, 7, 1}));
    model["fuse_unk"] = true;
    EXPECT_EQ(encode(model, "axyb"), (Ids{0, 7, 1}));
    model["unk_token"] = "absent";
    const auto error = test::error_of([&] { (void)encode(model, "axb"); });
    test::expect_message(error, Failure::Input, {"tokenizer.json", "x", "absent"});
}

TEST(Bpe, BytesStandInForUnknownCharacters) {
    auto model = letters();
    model["byte_fallback"] = true;
    model["unk_token"] = "?";
    model["vocab"]["<0xC3>"] = 8;
    model["vocab"]["<0xA9>"] = 9;
    EXPECT_EQ(encode(model, "aéb"), (Ids{0, 8, 9, 1}));
    EXPECT_EQ(encode(model, "aèb"), (Ids{0, 7, 1}));  // not all of its bytes are there
}

TEST(Bpe, AffixesMarkContinuationsAndEnds) {
    json model = {{"type", "BPE"},
                  {"vocab", {{"a", 0}, {"##b", 1}, {"ab", 2}, {"##b</w>", 3}, {"ab</w>", 4}, {"a</w>", 5}}},
                  {"merges", {"a ##b", "a ##b</w>"}},
                  {"continuing_subword_prefix", "##"},
                  {"end_of_word_suffix", "</w>"}};
    EXPECT_EQ(encode(model, "a"), (Ids{5}));
    EXPECT_EQ(encode(model, "ab"), (Ids{4}));
    EXPECT_EQ(encode(model, "abb"), (Ids{2, 3}));
}

}  // namespace
}  // namespace tandem
