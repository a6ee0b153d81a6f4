// What tokenizer.json may ask for, what is refused, and what encoding promises besides the ids.
#include "src/tokenizer/tokenizer.h"

#include <chrono>
#include <map>
#include <thread>

#include "src/tokenizer/pre_tokenizer.h"
#include "tests/tokenizer/tokenizer_test_files.h"

namespace tandem {
namespace {

using nlohmann::json;
using test::error_of;
using test::expect_message;

json tiny() {
    return {{"added_tokens", json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer", nullptr},
            {"post_processor", nullptr},
            {"decoder", nullptr},
            {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {" ", 3}}}, {"merges", {"a b"}}}}};
}

Tokenizer load(const json& contents, const std::string& config = "") {
    const test::Folder folder;
    folder.write("tokenizer.json", contents.dump());
    if (!config.empty()) folder.write("tokenizer_config.json", config);
    return Tokenizer::load(folder.path());
}

json added(const std::string& content, bool special) {
    return {{"content", content},   {"special", special}, {"normalized", false},
            {"single_word", false}, {"lstrip", false},    {"rstrip", false}};
}

TEST(Tokenizer, NamesWhatItDoesNotSupport) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"/normalizer", "Precompiled"}, {"/normalizer", "Bert"},        {"/pre_tokenizer", "UnicodeScripts"},
        {"/decoder", "WordPiece"},      {"/post_processor", "Unheard"}, {"/model", "Unigram"},
        {"/model", "WordPiece"}};
    for (const auto& [place, type] : cases) {
        auto contents = tiny();
        contents[json::json_pointer(place)]["type"] = type;
        expect_message(error_of([&, &c = contents] { (void)load(c); }), Failure::Input, {"tokenizer.json", type});
    }
    auto inside = tiny();
    inside["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Nmt"}}}}};
    expect_message(error_of([&] { (void)load(inside); }), Failure::Input, {"tokenizer.json", "Nmt"});
    auto dropout = tiny();
    dropout["model"]["dropout"] = 0.1;
    expect_message(error_of([&] { (void)load(dropout); }), Failure::Input, {"tokenizer.json", "dropout"});
}

TEST(Tokenizer, NamesWhatIsWrongInTheFile) {
    const auto wrong = [](const std::string& place, const json& value) {
        auto contents = tiny();
        contents[json::json_pointer(place)] = value;
        return error_of([&] { (void)load(contents); });
    };
    expect_message(wrong("/model/merges", {"a c"}), Failure::Input, {"tokenizer.json", "merge 0", "c"});
    expect_message(wrong("/model/merges", {"a b c"}), Failure::Input, {"tokenizer.json", "merge 0"});
    expect_message(wrong("/model/merges", {"b a"}), Failure::Input, {"tokenizer.json", "ba"});
    expect_message(wrong("/model/vocab", {{"a", -1}}), Failure::Input, {"tokenizer.json", "-1"});
    expect_message(
        wrong("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}, {"invert", false}}),
        Failure::Input, {"tokenizer.json", "(a"});
    expect_message(
        wrong("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "[a&&b]"}}}, {"behavior", "Isolated"}, {"invert", false}}),
        Failure::Input, {"tokenizer.json", "&&"});
    const test::Folder empty;
    expect_message(error_of([&] { (void)Tokenizer::load(empty.path()); }), Failure::Configuration,
                   {empty.path().string(), "tokenizer.json"});
    empty.write("tokenizer.json", "{\"model\": ");
    expect_message(error_of([&] { (void)Tokenizer::load(empty.path()); }), Failure::Input, {"tokenizer.json"});
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
    const auto tokenizer = load(tiny());
    for (const char* bad : {"ab\xff", "ab\xc3", "ab\xed\xa0\x80", "ab\xc0\xaf", "ab\xf5\x80\x80\x80"}) {
        expect_message(error_of([&] { (void)tokenizer.encode(bad, AddSpecial::No); }), Failure::Input, {"UTF-8", "at 2"});
    }
}

TEST(Tokenizer, AWordOfAHundredThousandCharactersTakesNoQuadraticTime) {
    const auto tokenizer = Tokenizer::load(test::model("llama3"));
    std::string word;
    for (int i = 0; i < 100000; ++i) word += static_cast<char>('a' + i * i % 26);
    const auto begin = std::chrono::steady_clock::now();
    const auto ids = tokenizer.encode(word, AddSpecial::No);
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 3.0);  // quadratic: minutes
    EXPECT_EQ(tokenizer.decode(ids, SkipSpecial::No), word);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(std::string(200000, ' '), AddSpecial::No), SkipSpecial::No), std::string(200000, ' '));
}

TEST(Tokenizer, ThreadsAgree) {
    const auto one = Tokenizer::load(test::model("qwen2")), other = Tokenizer::load(test::model("smollm"));
    const auto strings = test::json_of(test::here() / "strings.json").get<std::vector<std::string>>();
    std::vector<std::vector<std::int32_t>> expected;
    for (const auto& text : strings) expected.push_back(one.encode(text, AddSpecial::No));
    std::vector<int> wrong(4, 0);
    std::vector<std::thread> threads;
    for (auto& count : wrong) {
        threads.emplace_back([&] {
            for (int round = 0; round < 5; ++round) {
                for (std::size_t i = 0; i < strings.size(); ++i) {
                    (void)other.encode(strings[i], AddSpecial::No);  // two models share a thread's cache
                    count += one.encode(strings[i], AddSpecial::No) == expected[i] ? 0 : 1;
                }
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Tokenizer, SpecialIdsComeFromTheFilesBesideIt) {
    auto contents = tiny();
    contents["added_tokens"] = {added("<s>", true), added("</s>", true), added("<x>", false)};
    const test::Folder folder;
    folder.write("tokenizer.json", contents.dump());
    folder.write("config.json", R"({"bos_token_id": 0, "eos_token_id": [1, 2], "pad_token_id": -1})");
    auto tokenizer = Tokenizer::load(folder.path());
    EXPECT_EQ(tokenizer.bos(), 0);
    EXPECT_EQ(tokenizer.eos(), 1);
    EXPECT_EQ(tokenizer.pad(), std::nullopt);
    folder.write("generation_config.json", R"({"eos_token_id": [5, 4]})");
    EXPECT_EQ(Tokenizer::load(folder.path()).eos(), 5);
    folder.write("special_tokens_map.json", R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": "absent"})");
    tokenizer = Tokenizer::load(folder.path());
    EXPECT_EQ(tokenizer.bos(), 4);
    EXPECT_EQ(tokenizer.eos(), 5);
    EXPECT_EQ(tokenizer.end_ids(), (std::vector<std::int32_t>{5, 4}));
    folder.write("tokenizer_config.json", R"({"eos_token": "<s>"})");
    EXPECT_EQ(Tokenizer::load(folder.path()).eos(), 4);
    EXPECT_TRUE(tokenizer.is_special(4));
    EXPECT_FALSE(tokenizer.is_special(6));
    EXPECT_FALSE(tokenizer.is_special(0));
    EXPECT_EQ(tokenizer.vocabulary_size(), 7);
    EXPECT_EQ(tokenizer.id_of("<x>"), 6);
}

TEST(Tokenizer, AddBosTokenDecidesInsteadOfThePostProcessor) {
    auto contents = tiny();
    contents["added_tokens"] = {added("<s>", true), added("</s>", true)};
    contents["post_processor"] = {
        {"type", "TemplateProcessing"},
        {"single", {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
        {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {4}}, {"tokens", {"<s>"}}}}}}};
    const auto ids = [&](const std::string& config) { return load(contents, config).encode("ab", AddSpecial::Yes); };
    using Ids = std::vector<std::int32_t>;
    EXPECT_EQ(ids(R"({"bos_token": "<s>", "eos_token": "</s>"})"), (Ids{4, 2}));
    EXPECT_EQ(ids(R"({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false})"), (Ids{2}));
    EXPECT_EQ(ids(R"({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true, "add_eos_token": true})"), (Ids{4, 2, 5}));
    EXPECT_EQ(ids(R"({"bos_token": "<s>", "add_bos_token": null})"), (Ids{4, 2}));
}

TEST(Tokenizer, HashFollowsWhatIdsDependOn) {
    auto contents = tiny();
    const auto base = load(contents).hash();
    EXPECT_EQ(load(contents).hash(), base);
    EXPECT_EQ(load(contents, R"({"model_max_length": 5})").hash(), base);
    contents["added_tokens"] = {added("<s>", true)};
    EXPECT_NE(load(contents).hash(), base);
    EXPECT_NE(load(contents, R"({"bos_token": "<s>", "add_bos_token": true})").hash(), load(contents).hash());
}

std::vector<std::string> pieces(const json& pre_tokenizer, const std::string& text) {
    const auto source = std::make_shared<AlignedText>(text, 0);
    std::vector<std::string> out;
    for (const Piece& piece : make_pre_tokenizer(pre_tokenizer, "tokenizer.json")->apply({whole(source, 0)})) {
        out.emplace_back(piece.text());
        EXPECT_EQ(piece.original_begin, piece.source->origin(piece.begin).begin);
    }
    return out;
}

TEST(PreTokenizer, DelimitersAreKeptRemovedOrMerged) {
    using Texts = std::vector<std::string>;
    const std::map<std::string, Texts> expected = {{"Removed", {"the", "final", "countdown"}},
                                                   {"Isolated", {"the", "-", "final", "-", "-", "countdown"}},
                                                   {"MergedWithPrevious", {"the-", "final-", "-", "countdown"}},
                                                   {"MergedWithNext", {"the", "-final", "-", "-countdown"}},
                                                   {"Contiguous", {"the", "-", "final", "--", "countdown"}}};
    for (const auto& [behavior, texts] : expected) {
        json split = {{"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behavior}, {"invert", false}};
        EXPECT_EQ(pieces(split, "the-final--countdown"), texts) << behavior;
    }
    EXPECT_EQ(pieces({{"type", "Split"}, {"pattern", {{"Regex", "[a-z]+"}}}, {"behavior", "Removed"}, {"invert", true}}, "the-final--x"),
              (Texts{"the", "final", "x"}));
    EXPECT_EQ(pieces({{"type", "Digits"}, {"individual_digits", false}}, "a12٣b"), (Texts{"a", "12٣", "b"}));
    EXPECT_EQ(pieces({{"type", "Digits"}, {"individual_digits", true}}, "a12"), (Texts{"a", "1", "2"}));
    EXPECT_EQ(pieces({{"type", "BertPreTokenizer"}}, "a, b!"), (Texts{"a", ",", "b", "!"}));
    EXPECT_EQ(pieces({{"type", "FixedLength"}, {"length", 2U}}, "aébcd"), (Texts{"aé", "bc", "d"}));
    EXPECT_EQ(pieces({{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "always"}}, "a b"), (Texts{"_a", "_b"}));
}

TEST(Tokenizer, AddedTokensTakeTheSpaceBesideThem) {
    auto contents = tiny();
    auto left = added("<l>", true), right = added("<r>", true);
    left["lstrip"] = right["rstrip"] = true;
    contents["added_tokens"] = {left, right};
    const auto tokenizer = load(contents);
    EXPECT_EQ(tokenizer.encode("a  <l> <r>  b", AddSpecial::No), (std::vector<std::int32_t>{0, 4, 3, 5, 1}));
    const auto tokens = tokenizer.encode_with_offsets("a  <l> <r>  b", AddSpecial::No);
    EXPECT_EQ(tokens[1].begin, 1U);
    EXPECT_EQ(tokens[1].end, 6U);
    EXPECT_EQ(tokens[3].end, 12U);
}

TEST(Tokenizer, BytesThatAreNoCharacterDecodeToOneReplacementEach) {
    const auto tokenizer = Tokenizer::load(test::model("gemma"));
    std::vector<std::int32_t> ids;
    for (const char* byte : {"<0xC3>", "<0xA9>"}) ids.push_back(*tokenizer.id_of(byte));
    EXPECT_EQ(tokenizer.decode(ids, SkipSpecial::No), "é");
    ids.push_back(*tokenizer.id_of("<0xE2>"));
    EXPECT_EQ(tokenizer.decode(ids, SkipSpecial::No), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Tokenizer, DecodesWhatItDoesNotKnowToNothing) {
    const auto tokenizer = Tokenizer::load(test::model("gpt2"));
    EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{-1, 1 << 30, 39}, SkipSpecial::No), "H");
    EXPECT_EQ(tokenizer.decode({}, SkipSpecial::No), "");
}

}  // namespace
}  // namespace tandem
