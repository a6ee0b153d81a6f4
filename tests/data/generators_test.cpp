// The scripts that make training data: launch/debian-data and launch/docs-data.
#include <sys/wait.h>

#include <cstdlib>
#include <set>

#include "src/io/files.h"
#include "tests/data/data_test_files.h"

namespace tandem {
namespace {

using test::Directory;

const std::string kSource = TANDEM_SOURCE_DIR;
const std::string kDebianData = kSource + "/launch/debian-data";
const std::string kSample = kSource + "/tests/data/sample";

int run(const std::string& command) {
    const int status = std::system((command + " 2>/dev/null").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<RecordJson> records_of(const std::string& file) {
    std::vector<RecordJson> records;
    RecordReader reader(file, PlainText::Never);
    for (RawRecord raw; reader.next(raw);) {
        records.push_back(parse_json_record(raw));
        (void)parse_record(detect_format(records.back(), raw.place), records.back(), raw.place);
    }
    return records;
}

TEST(DebianData, GivesTheCommittedSample) {
    const Directory directory;
    ASSERT_EQ(run(kDebianData + " " + directory.path("out") + " --from " + kSample + "/packages"), 0);
    EXPECT_EQ(directory.names("out"), (std::vector<std::string>{"heldout.jsonl", "train.jsonl", "validation.jsonl"}));
    for (const std::string name : {"train.jsonl", "validation.jsonl"}) {
        EXPECT_EQ(read_file(directory.path("out/" + name)), read_file(kSample + "/" + name)) << name;
    }
    EXPECT_EQ(records_of(kSample + "/train.jsonl").size(), 60U);
    EXPECT_EQ(records_of(kSample + "/validation.jsonl").size(), 12U);
}

std::string package(const std::string& name, const std::string& source, const std::string& description) {
    return "Package: " + name + "\nSource: " + source + "\nSection: utils\nDescription: " + description + "\n\n";
}

TEST(DebianData, EscapesWhatJsonCannotHold) {
    const Directory directory;
    std::string index;
    const std::string nasty = "quotes \" backslash \\ tab \t bell \x07 euro \xE2\x82\xAC";
    for (int i = 0; i < 200; ++i) index += package("tool" + std::to_string(i), "source" + std::to_string(i), nasty);
    ASSERT_EQ(run(kDebianData + " " + directory.path("out") + " --from " + directory.write("packages", index)), 0);
    for (const auto& record : records_of(directory.path("out/train.jsonl"))) {
        const auto messages = record["messages"];
        const auto text = messages[0]["content"].get<std::string>() + messages[1]["content"].get<std::string>();
        EXPECT_NE(text.find(nasty), std::string::npos) << text;
    }
}

TEST(DebianData, HoldsOutATenthOfTheSources) {
    const Directory directory;
    std::string index;
    for (int i = 0; i < 1000; ++i) {
        for (const std::string part : {"", "-gtk", "-tools"}) {
            index += package("tool" + std::to_string(i) + part, "source" + std::to_string(i) + " (1.2-3)",
                             "a thing with the number " + std::to_string(i));
        }
    }
    const auto from = " --pairs 5000 --from " + directory.write("packages", index);
    ASSERT_EQ(run(kDebianData + " " + directory.path("out") + from), 0);
    const auto numbers = [&](const std::string& name) {
        std::set<int> seen;
        for (const auto& record : records_of(directory.path("out/" + name))) {
            const auto text = record.dump();
            seen.insert(std::atoi(text.c_str() + text.find("tool", text.find("content")) + 4));
        }
        return seen;
    };
    auto held = numbers("validation.jsonl");
    EXPECT_EQ(records_of(directory.path("out/validation.jsonl")).size(), 60U);
    held.merge(numbers("heldout.jsonl"));
    EXPECT_NEAR(static_cast<double>(held.size()), 100, 30);
    for (const int source : numbers("train.jsonl")) EXPECT_FALSE(held.contains(source)) << source;
}

TEST(DebianData, RefusesWhatItCannotUse) {
    const Directory directory;
    const auto out = directory.path("out");
    EXPECT_EQ(run(kDebianData), 2);
    EXPECT_EQ(run(kDebianData + " " + out + " --form x"), 2);
    EXPECT_EQ(run(kDebianData + " " + out + " --from " + directory.path("missing")), 2);
    EXPECT_EQ(run(kDebianData + " " + out + " --pairs 0 --from " + kSample + "/packages"), 2);
    EXPECT_EQ(run(kDebianData + " " + out + " --from " + directory.write("empty", "")), 3);
    EXPECT_EQ(directory.names("out"), std::vector<std::string>{});
}

TEST(DocsData, MakesTextsOfTheDocumentation) {
    const Directory directory;
    std::filesystem::create_directories(directory.path("tree/docs"));
    std::string page =
        "# A \"page\"\n\nWith a \\ and a tab\there, and some more words so that it is long enough to be kept.\n\n```\n# not a "
        "heading\n```\n";
    for (int i = 0; i < 40; ++i) page += "\n## Section " + std::to_string(i) + "\n\n" + std::string(100, 'x') + "\n";
    directory.write("tree/README.md", page);
    directory.write("tree/docs/more.md", "# More\n\n" + std::string(200, 'y') + "\n");
    ASSERT_EQ(run(kSource + "/launch/docs-data " + directory.path("out") + " " + directory.path("tree")), 0);
    const auto train = records_of(directory.path("out/train.jsonl")), held = records_of(directory.path("out/validation.jsonl"));
    EXPECT_EQ(train.size() + held.size(), 42U);
    EXPECT_GE(held.size(), 1U);
    std::string all;
    for (const auto& records : {train, held}) {
        for (const auto& record : records) all += record["text"].get<std::string>();
    }
    EXPECT_NE(all.find("# A \"page\"\n\nWith a \\ and a tab\there, and some more words so that it is long enough to be kept.\n\n```\n# not "
                       "a heading\n```"),
              std::string::npos);
    EXPECT_EQ(run(kSource + "/launch/docs-data " + directory.path("out2") + " " + directory.path("out")), 2);
}

}  // namespace
}  // namespace tandem
