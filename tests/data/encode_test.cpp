// Texts and conversations to ids and labels, through the tiny tokenizers of tests/tokenizer and real templates' shapes.
#include "src/data/sample_text.h"
#include "tests/data/data_test_files.h"

namespace tandem {
namespace {

using test::Directory;
using test::error_of;

const std::string kModels = std::string(TANDEM_SOURCE_DIR) + "/tests/tokenizer/models/";

constexpr std::string_view kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}";

/// A tokenizer, a template, and data files beside them.
struct Bench {
    explicit Bench(const std::string& model, std::string_view chat_template = kChatMl)
        : tokenizer(Tokenizer::load(kModels + model)),
          rendering(ChatTemplate::load(kModels + model, directory.write("template.jinja", chat_template))) {}

    Prepared prepare_file(const std::string& contents, const std::function<void(DataSettings&)>& change = {}) const {
        auto settings = test::settings_for(directory, {directory.write("data.jsonl", contents)});
        settings.max_seq_length = 200;
        settings.vocabulary = tokenizer.vocabulary_size();
        if (change) change(settings);
        return prepare(settings, &tokenizer, rendering ? &*rendering : nullptr);
    }
    [[nodiscard]] std::string text(const Prepared& prepared, std::int64_t sample = 0) const {
        return sample_text(prepared.file, sample, &tokenizer);
    }

    Directory directory;
    Tokenizer tokenizer;
    std::optional<ChatTemplate> rendering;
};

Json turn(const std::string& role, const std::string& content) { return {{"role", role}, {"content", content}}; }

std::string messages(const std::vector<Json>& turns) { return Json{{"messages", turns}}.dump() + "\n"; }

TEST(EncodeChat, TrainsAnswersAndTheirStopTokens) {
    const Bench bench("smollm");
    const std::vector<std::pair<std::vector<Json>, std::string>> cases = {
        {{turn("user", "What is 2 + 2?"), turn("assistant", "4")},
         "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n⟦4<|im_end|>⟧\n"},
        {{turn("system", "Be brief."), turn("user", "one"), turn("assistant", "two"), turn("user", "three"), turn("assistant", "four")},
         "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n⟦two<|im_end|>⟧\n"
         "<|im_start|>user\nthree<|im_end|>\n<|im_start|>assistant\n⟦four<|im_end|>⟧\n"},
        {{turn("user", "Привет?"), turn("assistant", "你好 🙂 é")},
         "<|im_start|>user\nПривет?<|im_end|>\n<|im_start|>assistant\n⟦你好 🙂 é<|im_end|>⟧\n"},
        {{turn("user", "empty"), turn("assistant", "")}, "<|im_start|>user\nempty<|im_end|>\n<|im_start|>assistant\n⟦<|im_end|>⟧\n"},
        {{turn("user", "repeat user"), turn("assistant", "user\nrepeat user")},
         "<|im_start|>user\nrepeat user<|im_end|>\n<|im_start|>assistant\n⟦user\nrepeat user<|im_end|>⟧\n"},
    };
    std::string file;
    for (const auto& [turns, expected] : cases) file += messages(turns);
    const auto prepared = bench.prepare_file(file);
    ASSERT_EQ(prepared.file.samples(), static_cast<std::int64_t>(cases.size()));
    for (std::size_t i = 0; i < cases.size(); ++i) EXPECT_EQ(bench.text(prepared, static_cast<std::int64_t>(i)), cases[i].second);
    EXPECT_EQ(prepared.report.format, "messages");
    EXPECT_EQ(prepared.report.answers, 6);
    EXPECT_EQ(prepared.report.answers_empty, 1);
    EXPECT_EQ(prepared.report.answers_without_stop, 0);
    EXPECT_EQ(prepared.report.bos_samples, 5);  // ChatML's first token is this tokenizer's bos_token
    EXPECT_EQ(prepared.report.bos_doubled, 0);
    EXPECT_EQ(prepared.report.eos_samples, 5);
}

TEST(EncodeChat, GivesTheIdsOfTheRenderedText) {
    const Bench bench("smollm");
    const auto prepared = bench.prepare_file(messages({turn("user", "We've 12 cards"), turn("assistant", "  and spaces ")}));
    const auto sample = test::read(prepared.file, 0);
    EXPECT_EQ(sample.ids,
              bench.tokenizer.encode("<|im_start|>user\nWe've 12 cards<|im_end|>\n<|im_start|>assistant\n  and spaces <|im_end|>\n",
                                     AddSpecial::No));
    for (std::size_t i = 0; i < sample.ids.size(); ++i) EXPECT_TRUE(sample.labels[i] == -100 || sample.labels[i] == sample.ids[i]);
}

TEST(EncodeChat, TrainsEverythingButTheFirstTokenOnRequest) {
    const Bench bench("smollm");
    const auto prepared = bench.prepare_file(messages({turn("user", "Q"), turn("assistant", "A")}),
                                             [](DataSettings& settings) { settings.train_on = LabelPolicy::All; });
    EXPECT_EQ(bench.text(prepared), "<|im_start|>⟦user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n⟧");
}

TEST(EncodeChat, BringsAllThreeFormatsToOne) {
    const Bench bench("smollm");
    const auto from_messages = bench.prepare_file(messages({turn("user", "Add\n\n1 and 2"), turn("assistant", "3")}));
    const auto from_alpaca = bench.prepare_file(R"({"instruction": "Add", "input": "1 and 2", "output": "3"})");
    const auto from_sharegpt =
        bench.prepare_file(R"({"conversations": [{"from": "human", "value": "Add\n\n1 and 2"}, {"from": "gpt", "value": "3"}]})");
    EXPECT_EQ(from_alpaca.report.format, "alpaca");
    EXPECT_EQ(from_sharegpt.report.format, "sharegpt");
    EXPECT_EQ(test::read(from_alpaca.file, 0), test::read(from_messages.file, 0));
    EXPECT_EQ(test::read(from_sharegpt.file, 0), test::read(from_messages.file, 0));
}

TEST(EncodeChat, CountsAnswersThatDoNotLearnToStop) {
    const Bench bench("smollm", "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}");
    const auto prepared = bench.prepare_file(messages({turn("user", "Q"), turn("assistant", "A")}));
    EXPECT_EQ(prepared.report.answers, 1);
    EXPECT_EQ(prepared.report.answers_without_stop, 1);
    ASSERT_FALSE(warnings(prepared.report).empty());
    EXPECT_NE(describe(prepared.report, "data").find("warning: 1 of 1 answers do not end in a trained stop token"), std::string::npos);
}

TEST(EncodeChat, DropsConversationsWithoutAnAnswer) {
    const Bench bench("smollm");
    const auto alone = messages({turn("user", "Q")});
    const auto prepared = bench.prepare_file(alone + messages({turn("user", "Q"), turn("assistant", "A")}));
    EXPECT_EQ(prepared.report.untrained_dropped, 1);
    EXPECT_EQ(prepared.file.samples(), 1);
    const auto error = error_of([&] { (void)bench.prepare_file(alone); });
    EXPECT_EQ(error.failure(), Failure::Input);
    EXPECT_NE(std::string(error.what()).find("0 assistant turns"), std::string::npos) << error.what();
}

TEST(EncodeChat, NamesThePlaceOfWhatTheTemplateRefuses) {
    const Bench bench("smollm", "{{ raise_exception('roles must alternate') }}");
    const auto error = error_of([&] { (void)bench.prepare_file("\n" + messages({turn("user", "Q"), turn("assistant", "A")})); });
    EXPECT_EQ(error.failure(), Failure::Input);
    EXPECT_TRUE(std::string(error.what()).starts_with(bench.directory.path("data.jsonl:2: "))) << error.what();
    EXPECT_NE(std::string(error.what()).find("roles must alternate"), std::string::npos) << error.what();
}

TEST(EncodeChat, IsMadeAgainWhenOneCharacterOfTheTemplateChanges) {
    const Bench bench("smollm");
    const auto data = messages({turn("user", "Q"), turn("assistant", "A")});
    EXPECT_FALSE(bench.prepare_file(data).cached);
    EXPECT_TRUE(bench.prepare_file(data).cached);
    auto changed = std::string(kChatMl);
    changed.replace(changed.find("'\\n' + message['content']"), 4, "'\\t'");
    const auto other = ChatTemplate::load(kModels + "smollm", bench.directory.write("other.jinja", changed));
    auto settings = test::settings_for(bench.directory, {bench.directory.path("data.jsonl")});
    settings.max_seq_length = 200;
    settings.vocabulary = bench.tokenizer.vocabulary_size();
    const auto again = prepare(settings, &bench.tokenizer, &*other);
    EXPECT_FALSE(again.cached);
    EXPECT_EQ(bench.text(again), "<|im_start|>user\tQ<|im_end|>\n<|im_start|>assistant\t⟦A<|im_end|>⟧\n");
}

TEST(EncodeChat, IsMadeAgainWhenTheTokenizerChanges) {
    const Bench bench("smollm");
    const auto prepared = bench.prepare_file(messages({turn("user", "Q"), turn("assistant", "A")}));
    std::filesystem::create_directory(bench.directory.path("model"));
    auto json = read_json_file(kModels + "smollm/tokenizer.json");
    json["normalizer"] = {{"type", "Lowercase"}};
    bench.directory.write("model/tokenizer.json", json.dump());
    std::filesystem::copy_file(kModels + "smollm/tokenizer_config.json", bench.directory.path("model/tokenizer_config.json"));
    const auto lower = Tokenizer::load(bench.directory.path("model"));
    auto settings = test::settings_for(bench.directory, {bench.directory.path("data.jsonl")});
    settings.max_seq_length = 200;
    settings.vocabulary = bench.tokenizer.vocabulary_size();
    EXPECT_TRUE(prepare(settings, &bench.tokenizer, &*bench.rendering).cached);
    EXPECT_FALSE(prepare(settings, &lower, &*bench.rendering).cached);
}

TEST(EncodeText, AddsWhatTheTokenizerAddsAndEndsTheText) {
    for (const std::string model : {"smollm", "llama3", "llama2", "gpt2"}) {
        const Bench bench(model);
        const auto eos = bench.tokenizer.eos();
        ASSERT_TRUE(eos) << model;
        const auto prepared =
            bench.prepare_file(R"({"text": "The loss of a sample"})", [](DataSettings& s) { s.format = RecordFormat::Text; });
        auto expected = bench.tokenizer.encode("The loss of a sample", AddSpecial::Yes);
        if (expected.back() != *eos) expected.push_back(*eos);
        const auto sample = test::read(prepared.file, 0);
        EXPECT_EQ(sample.ids, expected) << model;
        EXPECT_EQ(std::count(sample.ids.begin(), sample.ids.end(), *eos), 1 + (bench.tokenizer.bos() == eos && sample.ids[0] == *eos))
            << model;
        expected[0] = -100;
        EXPECT_EQ(sample.labels, expected) << model;
        EXPECT_EQ(prepared.report.eos_samples, 1);
        EXPECT_EQ(prepared.report.bos_samples, model == "llama3" || model == "llama2" ? 1 : 0) << model;
    }
}

TEST(EncodeText, DoesNotEndATextTwice) {
    const Bench bench("smollm");
    const auto prepared = bench.prepare_file(R"({"text": "One<|im_end|>"})");
    EXPECT_EQ(bench.text(prepared).find("<|im_end|>"), bench.text(prepared).rfind("<|im_end|>"));
}

TEST(EncodeText, RefusesPlainTextThatIsNotUtf8) {
    const Bench bench("smollm");
    const auto file = bench.directory.write("data.txt", "fine\n\nbroken \xFF here\n");
    auto settings = test::settings_for(bench.directory, {file});
    settings.vocabulary = bench.tokenizer.vocabulary_size();
    const auto error = error_of([&] { (void)prepare(settings, &bench.tokenizer, nullptr); });
    EXPECT_EQ(error.failure(), Failure::Input);
    EXPECT_TRUE(std::string(error.what()).starts_with(file + ":3: byte 8")) << error.what();
}

TEST(EncodeText, SaysWhatAChatLacks) {
    const Bench bench("smollm");
    const auto file = bench.directory.write("chat.jsonl", messages({turn("user", "Q"), turn("assistant", "A")}));
    const auto error = error_of([&] { (void)prepare(test::settings_for(bench.directory, {file}), &bench.tokenizer, nullptr); });
    EXPECT_EQ(error.failure(), Failure::Input);
    EXPECT_NE(std::string(error.what()).find("data.chat_template"), std::string::npos) << error.what();
}

TEST(Encode, PreparesTheCommittedSample) {
    const Bench bench("smollm");
    auto settings = test::settings_for(bench.directory, {std::string(TANDEM_SOURCE_DIR) + "/tests/data/sample/train.jsonl"});
    settings.max_seq_length = 1024;
    settings.threads = 2;
    settings.vocabulary = bench.tokenizer.vocabulary_size();
    const auto prepared = prepare(settings, &bench.tokenizer, &*bench.rendering);
    EXPECT_EQ(prepared.file.samples(), 60);
    EXPECT_EQ(prepared.report.answers_without_stop, 0);
    EXPECT_GT(prepared.report.trained_tokens, prepared.report.tokens / 4);
    EXPECT_LT(prepared.report.trained_tokens, prepared.report.tokens * 3 / 4);
}

}  // namespace
}  // namespace tandem
