// Tiny good and bad data files, each with what must come of it: the records, or the message with its file and line.
#include "tests/data/data_test_files.h"

namespace tandem {
namespace {

using namespace std::string_literals;

struct Case {
    std::string title;
    std::string name;  ///< of the file
    std::string contents;
    RecordFormat format = RecordFormat::Auto;
    std::string expected;              ///< of a good file: its records in the notation of notation()
    std::string place;                 ///< of a bad one: what follows the directory in the message, ":LINE" included
    std::vector<std::string> parts{};  ///< further parts of the message
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.title; }

/// text: <...>; chats: role: content | ...; tokens: ids/labels. Records are separated by " ; ".
std::string notation(const Record& record) {
    if (const auto* text = std::get_if<TextRecord>(&record)) return "<" + text->text + ">";
    std::string out;
    if (const auto* chat = std::get_if<ChatRecord>(&record)) {
        for (const auto& message : chat->messages) {
            out += (out.empty() ? "" : " | ") + message["role"].get<std::string>() + ": " + message["content"].get<std::string>();
        }
        return out;
    }
    const auto& tokens = std::get<TokenRecord>(record);
    for (const auto id : tokens.ids) out += std::to_string(id) + " ";
    out += "/";
    for (const auto label : tokens.labels) out += " " + std::to_string(label);
    return out;
}

std::string read_file_as(const std::string& file, RecordFormat format) {
    RecordReader reader(file, format == RecordFormat::Auto   ? PlainText::ByName
                              : format == RecordFormat::Text ? PlainText::ByContents
                                                             : PlainText::Never);
    std::string out;
    for (RawRecord raw; reader.next(raw);) {
        Record record = TextRecord{raw.text};
        if (reader.layout() != FileLayout::Lines) {
            const auto json = parse_json_record(raw);
            if (format == RecordFormat::Auto) format = detect_format(json, raw.place);
            record = parse_record(format, json, raw.place);
        }
        out += (out.empty() ? "" : " ; ") + notation(record);
    }
    return out;
}

const std::string kChat = R"({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]})";
const std::string kChatRead = "user: Q | assistant: A";

std::vector<Case> good_files() {
    return {
        {"json lines", "a.jsonl", kChat + "\n" + kChat + "\n", {}, kChatRead + " ; " + kChatRead, ""},
        {"no newline at the end", "a.jsonl", kChat, {}, kChatRead, ""},
        {"CRLF", "a.jsonl", kChat + "\r\n" + kChat + "\r\n", {}, kChatRead + " ; " + kChatRead, ""},
        {"byte order mark", "a.jsonl", "\xEF\xBB\xBF" + kChat + "\n", {}, kChatRead, ""},
        {"byte order mark and array", "a.json", "\xEF\xBB\xBF[" + kChat + "]", {}, kChatRead, ""},
        {"blank lines", "a.jsonl", "\n \t\n" + kChat + "\n\r\n" + kChat + "\n\n", {}, kChatRead + " ; " + kChatRead, ""},
        {"array over several lines", "a.json", "[\n  " + kChat + ",\n\n  " + kChat + "\n]\n", {}, kChatRead + " ; " + kChatRead, ""},
        {"array on one line, any name", "a.jsonl", "[" + kChat + "," + kChat + "]", {}, kChatRead + " ; " + kChatRead, ""},
        {"brackets and quotes in an array's strings",
         "a.json",
         R"([{"text": "a ] , \" } [ {"}, {"text": "\\"}])",
         {},
         R"(<a ] , " } [ {> ; <\>)",
         ""},
        {"an empty array", "a.json", "[ ]\n", {}, "", ""},
        {"an empty file", "a.jsonl", "", {}, "", ""},
        {"text", "a.jsonl", R"({"text": "one\ntwo"})", {}, "<one\ntwo>", ""},
        {"plain text by name", "a.txt", "one\r\n\ntwo", {}, "<one> ; <two>", ""},
        {"plain text that begins with a bracket", "a.txt", "[1] one\n", {}, "<[1] one>", ""},
        {"JSON lines in a .txt", "a.txt", R"({"text": "one"})", {}, "<one>", ""},
        {"plain text by format", "story", "one\ntwo\n", RecordFormat::Text, "<one> ; <two>", ""},
        {"characters of several bytes",
         "a.jsonl",
         "{\"text\": \"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 \\u00e9\"}",
         {},
         "<\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 \xC3\xA9>",
         ""},
        {"alpaca",
         "a.jsonl",
         R"({"instruction": "Add", "input": "1 and 2", "output": "3"})",
         {},
         "user: Add\n\n1 and 2 | assistant: 3",
         ""},
        {"alpaca without input", "a.jsonl", R"({"instruction": "Add", "output": "3"})", {}, "user: Add | assistant: 3", ""},
        {"alpaca with empty and null input",
         "a.jsonl",
         R"({"instruction": "I", "input": "", "output": "O"}
{"instruction": "I", "input": null, "output": "O"})",
         {},
         "user: I | assistant: O ; user: I | assistant: O",
         ""},
        {"alpaca with its rendered text",
         "a.jsonl",
         R"({"instruction": "I", "input": "", "output": "O", "text": "### I"})",
         {},
         "user: I | assistant: O",
         ""},
        {"alpaca with system and history",
         "a.jsonl",
         R"({"system": "S", "history": [["a", "b"]], "instruction": "I", "output": "O"})",
         {},
         "system: S | user: a | assistant: b | user: I | assistant: O",
         ""},
        {"sharegpt",
         "a.json",
         R"([{"id": 7, "conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}])",
         {},
         "system: S | user: Q | assistant: A",
         ""},
        {"sharegpt with the keys of messages",
         "a.jsonl",
         R"({"conversations": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]})",
         {},
         kChatRead,
         ""},
        {"messages with parts",
         "a.jsonl",
         R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}, {"role": "assistant", "content": "A"}]})",
         {},
         "user: one two | assistant: A",
         ""},
        {"messages with null content of an assistant",
         "a.jsonl",
         R"({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": null}]})",
         {},
         "user: Q | assistant: ",
         ""},
        {"messages with null tools and weight 1",
         "a.jsonl",
         R"({"tools": null, "messages": [{"role": "user", "content": "Q", "weight": null}, {"role": "assistant", "content": "A", "weight": 1}]})",
         {},
         kChatRead,
         ""},
        {"tokenized", "a.jsonl", R"({"input_ids": [1, 2, 3], "labels": [-100, 2, 3]})", {}, "1 2 3 / -100 2 3", ""},
        {"tokenized without labels", "a.jsonl", R"({"input_ids": [1, 2, 3]})", {}, "1 2 3 / 1 2 3", ""},
        {"tokenized with null labels", "a.jsonl", R"({"input_ids": [4], "labels": null, "attention_mask": [1]})", {}, "4 / 4", ""},
    };
}

std::vector<Case> bad_files() {
    const std::string three = kChat + "\n" + kChat + "\n";
    return {
        {"a line that is cut short", "a.jsonl", three + kChat.substr(0, 30), {}, "", "a.jsonl:3:", {"not valid JSON"}},
        {"a line that is not JSON", "a.jsonl", "\n" + kChat + "\nhello\n", {}, "", "a.jsonl:3:", {"not valid JSON"}},
        {"invalid UTF-8 in JSON", "a.jsonl", three + "{\"text\": \"\xFF\"}\n", {}, "", "a.jsonl:3:", {"UTF-8"}},
        {"an array that is cut short",
         "a.json",
         "[\n" + kChat + ",\n" + kChat.substr(0, 20),
         {},
         "",
         "a.json:3:",
         {"cut short", "record 2"}},
        {"an array without a comma", "a.json", "[\n" + kChat + "\n" + kChat + "]", {}, "", "a.json:3", {}},
        {"a comma at the end of an array", "a.json", "[" + kChat + ",\n]", {}, "", "a.json:2:", {"not valid JSON"}},
        {"more after an array", "a.json", "[" + kChat + "]\n" + kChat, {}, "", "a.json:2:", {"after the end"}},
        {"a list instead of an object", "a.json", "[\n[1, 2]\n]", {}, "", "a.json:2 (record 1):", {"JSON object", "[1,2]"}},
        {"a string instead of an object", "a.jsonl", three + "\"hello\"\n", {}, "", "a.jsonl:3:", {"JSON object", "\"hello\""}},
        {"unknown keys",
         "a.jsonl",
         R"({"prompt": "P", "completion": "C"})",
         {},
         "",
         "a.jsonl:1:",
         {"cannot tell", "\"prompt\", \"completion\"", "messages"}},
        {"no keys", "a.jsonl", "{}", {}, "", "a.jsonl:1:", {"cannot tell", "none"}},
        {"another format further down",
         "a.jsonl",
         kChat + "\n" + R"({"text": "x"})",
         {},
         "",
         "a.jsonl:2:",
         {"\"messages\" is missing", "\"text\""}},
        {"a format that the file does not have", "a.jsonl", kChat, RecordFormat::Alpaca, "", "a.jsonl:1:", {"\"instruction\" is missing"}},
        {"text that is a number", "a.jsonl", R"({"text": 12})", {}, "", "a.jsonl:1:", {"\"text\" is 12", "string is needed"}},
        {"alpaca with a number",
         "a.jsonl",
         R"({"instruction": "I", "output": 3})",
         {},
         "",
         "a.jsonl:1:",
         {"\"output\" is 3", "string is needed"}},
        {"alpaca with null", "a.jsonl", R"({"instruction": null, "output": "O"})", {}, "", "a.jsonl:1:", {"\"instruction\" is null"}},
        {"alpaca with a list as input",
         "a.jsonl",
         R"({"instruction": "I", "input": [1], "output": "O"})",
         {},
         "",
         "a.jsonl:1:",
         {"\"input\" is [1]"}},
        {"alpaca with another history",
         "a.jsonl",
         R"({"instruction": "I", "output": "O", "history": [["a"]]})",
         {},
         "",
         "a.jsonl:1:",
         {"\"history\"[0] is [\"a\"]"}},
        {"an unknown role",
         "a.jsonl",
         three + R"({"messages": [{"role": "user", "content": "Q"}, {"role": "narrator", "content": "A"}]})",
         {},
         "",
         "a.jsonl:3:",
         {"messages[1]", "unknown role \"narrator\"", "known are system, developer, user, assistant, tool"}},
        {"an unknown speaker",
         "a.json",
         "[\n"
         R"({"conversations": [{"from": "alien", "value": "Q"}]})"
         "\n]",
         {},
         "",
         "a.json:2 (record 1):",
         {"conversations[0]", "\"alien\"", "human"}},
        {"a role that is a number",
         "a.jsonl",
         R"({"messages": [{"role": 1, "content": "Q"}]})",
         {},
         "",
         "a.jsonl:1:",
         {"messages[0]", "\"role\" is 1"}},
        {"a turn without a role",
         "a.jsonl",
         R"({"messages": [{"content": "Q"}]})",
         {},
         "",
         "a.jsonl:1:",
         {"messages[0]", "\"role\" is missing"}},
        {"a turn without content",
         "a.jsonl",
         R"({"messages": [{"role": "assistant"}]})",
         {},
         "",
         "a.jsonl:1:",
         {"messages[0]", "\"content\" is missing"}},
        {"null content of a user",
         "a.jsonl",
         R"({"messages": [{"role": "user", "content": null}]})",
         {},
         "",
         "a.jsonl:1:",
         {"messages[0]", "\"content\" is null"}},
        {"a turn that is a string", "a.jsonl", R"({"messages": ["Q"]})", {}, "", "a.jsonl:1:", {"messages[0]", "is not a turn"}},
        {"messages that are a string", "a.jsonl", R"({"messages": "Q"})", {}, "", "a.jsonl:1:", {"\"messages\" is \"Q\"", "list"}},
        {"no messages", "a.jsonl", R"({"messages": []})", {}, "", "a.jsonl:1:", {"\"messages\" is []"}},
        {"an image",
         "a.jsonl",
         R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]})",
         {},
         "",
         "a.jsonl:1:",
         {"content part", "image_url"}},
        {"a turn with weight 0",
         "a.jsonl",
         R"({"messages": [{"role": "assistant", "content": "A", "weight": 0}]})",
         {},
         "",
         "a.jsonl:1:",
         {"\"weight\" is 0", "untrained"}},
        {"tools",
         "a.jsonl",
         R"({"tools": [{"name": "f"}], "messages": [{"role": "user", "content": "Q"}]})",
         {},
         "",
         "a.jsonl:1:",
         {"\"tools\""}},
        {"more labels than ids", "a.jsonl", R"({"input_ids": [1, 2], "labels": [1, 2, 3]})", {}, "", "a.jsonl:1:", {"3 entries", "2"}},
        {"ids that are strings", "a.jsonl", R"({"input_ids": [1, "2"]})", {}, "", "a.jsonl:1:", {"\"input_ids\"[1] is \"2\"", "token id"}},
        {"ids that are fractions", "a.jsonl", R"({"input_ids": [1.5]})", {}, "", "a.jsonl:1:", {"\"input_ids\"[0] is 1.5"}},
        {"ids that are booleans", "a.jsonl", R"({"input_ids": [true]})", {}, "", "a.jsonl:1:", {"\"input_ids\"[0] is true"}},
        {"ids that are too large for any vocabulary",
         "a.jsonl",
         R"({"input_ids": [18446744073709551615]})",
         {},
         "",
         "a.jsonl:1:",
         {"\"input_ids\"[0]"}},
        {"ids that are no list", "a.jsonl", R"({"input_ids": 5})", {}, "", "a.jsonl:1:", {"\"input_ids\" is 5", "array"}},
        {"gzip", "a.jsonl", "\x1F\x8B\x08"s + std::string(20, '\0'), {}, "", "a.jsonl:", {"gzip", "gunzip"}},
        {"Parquet", "a.parquet", "PAR1\x15\x04", {}, "", "a.parquet:", {"Parquet", "JSON Lines"}},
        {"UTF-16", "a.jsonl", "\xFF\xFE{\0\"\0"s, {}, "", "a.jsonl:", {"UTF-16", "iconv"}},
    };
}

std::string title_of(const testing::TestParamInfo<Case>& info) {
    std::string name;
    for (const char c : info.param.title) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    return name;
}

class GoodFiles : public testing::TestWithParam<Case> {};
TEST_P(GoodFiles, AreRead) {
    const test::Directory directory;
    const auto file = directory.write(GetParam().name, GetParam().contents);
    EXPECT_EQ(read_file_as(file, GetParam().format), GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(Formats, GoodFiles, testing::ValuesIn(good_files()), title_of);

class BadFiles : public testing::TestWithParam<Case> {};
TEST_P(BadFiles, AreRefusedWithFileAndLine) {
    const test::Directory directory;
    const auto file = directory.write(GetParam().name, GetParam().contents);
    const auto error = test::error_of([&] { (void)read_file_as(file, GetParam().format); });
    const std::string message = error.what();
    EXPECT_EQ(error.failure(), Failure::Input);
    EXPECT_TRUE(message.starts_with(directory.path(GetParam().place))) << message;
    for (const auto& part : GetParam().parts) EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
}
INSTANTIATE_TEST_SUITE_P(Formats, BadFiles, testing::ValuesIn(bad_files()), title_of);

TEST(RecordReader, ReadsRecordsThatCrossItsBlocks) {
    const test::Directory directory;
    std::string lines, array = "[";
    for (int i = 0; i < 3000; ++i) {
        const auto record = R"({"text": ")" + std::string(static_cast<std::size_t>(i % 1700), 'x') + std::to_string(i) + "\"}";
        lines += record + "\r\n";
        array += (i == 0 ? "" : ",\n") + record;
    }
    ASSERT_GT(lines.size(), 2U << 20U);
    const auto read = read_file_as(directory.write("a.jsonl", lines), RecordFormat::Auto);
    EXPECT_EQ(read, read_file_as(directory.write("a.json", array + "]"), RecordFormat::Auto));
    EXPECT_TRUE(read.ends_with("x2999>"));
}

}  // namespace
}  // namespace tandem
