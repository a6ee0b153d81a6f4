// Data files to token files: what becomes of samples, the cache, and processes that meet there or die there.
#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <map>

#include "tests/data/data_test_files.h"

namespace tandem {
namespace {

using test::Directory;
using test::error_of;
using test::many_samples;
using test::Sample;
using test::tokens;

TEST(Prepare, KeepsIdsAndAlignsLabels) {
    const Directory directory;
    const auto file = directory.write("a.jsonl", tokens({5, 6, 7}) + R"({"input_ids": [1, 2, 3, 4], "labels": [1, -100, 9, 4]})");
    const auto prepared = prepare(test::settings_for(directory, {file}), nullptr, nullptr);
    EXPECT_EQ(test::read_all(prepared.file), (std::vector<Sample>{{{5, 6, 7}, {-100, 6, 7}}, {{1, 2, 3, 4}, {-100, -100, 9, 4}}}));
    EXPECT_EQ(prepared.file.trained(), (std::vector<std::int32_t>{2, 2}));
    EXPECT_EQ(prepared.file.lengths(), (std::vector<std::int32_t>{3, 4}));
    EXPECT_EQ(prepared.report.tokens, 7);
    EXPECT_EQ(prepared.report.trained_tokens, 4);
    EXPECT_EQ(prepared.report.longest, 4);
    EXPECT_EQ(prepared.report.format, "tokenized");
    EXPECT_FALSE(prepared.cached);
}

struct OverlongCase {
    LengthPolicy policy;
    std::vector<std::int32_t> lengths;
    std::int64_t dropped, cut, split, untrained;
};

TEST(Prepare, TreatsOverlongSamplesAsAsked) {
    const std::vector<OverlongCase> cases = {
        {LengthPolicy::Drop, {3}, 1, 0, 0, 2},
        {LengthPolicy::Cut, {3, 8}, 0, 1, 0, 2},
        {LengthPolicy::Split, {3, 8, 8}, 0, 0, 1, 3},  // 8, 8 and one token alone, which nothing predicts
    };
    for (const auto& expected : cases) {
        const Directory directory;
        std::string overlong = "{\"input_ids\": [0";
        for (int i = 1; i < 17; ++i) overlong += ", " + std::to_string(i);
        const auto file = directory.write("a.jsonl", tokens({1, 2, 3}) + overlong + "]}\n" + tokens({4}) + tokens({}));
        auto settings = test::settings_for(directory, {file});
        settings.overlong = expected.policy;
        const auto prepared = prepare(settings, nullptr, nullptr);
        const auto& report = prepared.report;
        EXPECT_EQ(prepared.file.lengths(), expected.lengths) << name(expected.policy);
        EXPECT_EQ(report.overlong_dropped, expected.dropped);
        EXPECT_EQ(report.overlong_cut, expected.cut);
        EXPECT_EQ(report.overlong_split, expected.split);
        EXPECT_EQ(report.untrained_dropped, expected.untrained);
        EXPECT_EQ(report.longest_record, 17);
        EXPECT_EQ(report.records, 4);
        for (const auto& sample : test::read_all(prepared.file)) EXPECT_EQ(sample.labels[0], -100);
    }
}

TEST(Prepare, RefusesWhatIsOutsideTheVocabulary) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {R"({"input_ids": [1, 100]})", "\"input_ids\"[1] is 100"},
        {R"({"input_ids": [-1, 1]})", "\"input_ids\"[0] is -1"},
        {R"({"input_ids": [-100, 1]})", "\"input_ids\"[0] is -100"},
        {R"({"input_ids": [1, 2], "labels": [-100, 100]})", "\"labels\"[1] is 100"},
        {R"({"input_ids": [1, 2], "labels": [-1, 2]})", "\"labels\"[0] is -1"},
    };
    for (const auto& [line, part] : cases) {
        const Directory directory;
        const auto file = directory.write("a.jsonl", tokens({1, 2}) + line);
        const auto error = error_of([&] { (void)prepare(test::settings_for(directory, {file}), nullptr, nullptr); });
        EXPECT_EQ(error.failure(), Failure::Input);
        EXPECT_NE(std::string(error.what()).find(file + ":2: " + part), std::string::npos) << error.what();
        EXPECT_EQ(directory.names("cache"), std::vector<std::string>{".prepare.lock"});
    }
}

TEST(Prepare, RefusesDataWithNothingToTrain) {
    for (const std::string contents :
         {R"({"input_ids": [1, 2], "labels": [-100, -100]})", R"({"input_ids": [1, 2], "labels": [1, -100]})", "\n", ""}) {
        const Directory directory;
        const auto file = directory.write("a.jsonl", contents);
        const auto error = error_of([&] { (void)prepare(test::settings_for(directory, {file}), nullptr, nullptr); });
        EXPECT_EQ(error.failure(), Failure::Input);
        EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
    }
}

TEST(Prepare, RefusesTextWithoutATokenizer) {
    const Directory directory;
    const auto file = directory.write("a.jsonl", R"({"text": "x"})");
    const auto error = error_of([&] { (void)prepare(test::settings_for(directory, {file}), nullptr, nullptr); });
    EXPECT_EQ(error.failure(), Failure::Input);
    EXPECT_NE(std::string(error.what()).find("tokenizer.json"), std::string::npos) << error.what();
}

TEST(Prepare, TakesGlobsInOrder) {
    const Directory directory;
    directory.write("b2.jsonl", tokens({2, 2}));
    directory.write("b1.jsonl", tokens({1, 1}));
    directory.write("a[1].jsonl", tokens({3, 3}));
    const auto prepared =
        prepare(test::settings_for(directory, {directory.path("b*.jsonl"), directory.path("a[1].jsonl")}), nullptr, nullptr);
    std::vector<std::int32_t> first;
    for (const auto& sample : test::read_all(prepared.file)) first.push_back(sample.ids[0]);
    EXPECT_EQ(first, (std::vector<std::int32_t>{1, 2, 3}));
}

TEST(Prepare, RefusesPathsAsConfiguration) {
    const Directory directory;
    directory.write("a.jsonl", tokens({1, 2}));
    for (const std::string path : {"missing.jsonl", "*.csv", "missing/*.jsonl", "cache"}) {
        std::filesystem::create_directories(directory.path("cache"));
        const auto error = error_of([&] {
            (void)prepare(test::settings_for(directory, {directory.path("a.jsonl"), directory.path(path)}), nullptr, nullptr);
        });
        EXPECT_EQ(error.failure(), Failure::Configuration) << path;
        EXPECT_NE(std::string(error.what()).find(directory.path(path)), std::string::npos) << error.what();
    }
    EXPECT_EQ(error_of([&] { (void)prepare(test::settings_for(directory, {}), nullptr, nullptr); }).failure(), Failure::Configuration);
}

TEST(Prepare, ReportsTheFirstBadRecordWhateverThreadFindsIt) {
    const Directory directory;
    const auto good = many_samples(500);
    const auto file = directory.write("a.jsonl", good + "{\"input_ids\": [true]}\n" + good + "nonsense\n");
    auto settings = test::settings_for(directory, {file});
    for (const int threads : {1, 2, 7}) {
        settings.threads = threads;
        const auto error = error_of([&] { (void)prepare(settings, nullptr, nullptr); });
        EXPECT_TRUE(std::string(error.what()).starts_with(file + ":501: ")) << error.what();
    }
}

TEST(Prepare, ReportsABadRecordRatherThanTheEndOfTheFileAfterIt) {
    const Directory directory;
    const auto file = directory.write("a.json", "[" + tokens({1, 2}) + ",{\"input_ids\": [true]}\n,{\"input_ids\":");
    const auto error = error_of([&] { (void)prepare(test::settings_for(directory, {file}), nullptr, nullptr); });
    EXPECT_TRUE(std::string(error.what()).starts_with(file + ":2 (record 2): ")) << error.what();
}

TEST(Prepare, GivesTheSameFileForAnyNumberOfThreads) {
    const Directory directory;
    const auto file = directory.write("a.jsonl", many_samples(3000));
    std::vector<std::vector<Sample>> results;
    for (const int threads : {1, 2, 5}) {
        auto settings = test::settings_for(directory, {file});
        settings.threads = threads;
        settings.cache = directory.path("cache" + std::to_string(threads));
        results.push_back(test::read_all(prepare(settings, nullptr, nullptr).file));
    }
    ASSERT_EQ(results[0].size(), 3000U);
    EXPECT_EQ(results[0][250].ids[0], 50);
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
}

TEST(Prepare, FindsItsResultAgain) {
    const Directory directory;
    const auto file = directory.write("a.jsonl", many_samples(100));
    const auto settings = test::settings_for(directory, {file});
    const auto first = prepare(settings, nullptr, nullptr);
    const auto second = prepare(settings, nullptr, nullptr);
    EXPECT_FALSE(first.cached);
    EXPECT_TRUE(second.cached);
    EXPECT_EQ(second.report, first.report);
    EXPECT_EQ(test::read_all(second.file), test::read_all(first.file));
    std::filesystem::rename(file, directory.path("moved.jsonl"));
    EXPECT_TRUE(prepare(test::settings_for(directory, {directory.path("moved.jsonl")}), nullptr, nullptr).cached);
}

TEST(Prepare, MakesItAgainWhenAnythingThatMattersChanges) {
    const Directory directory;
    const auto file = directory.write("a.jsonl", many_samples(100));
    const auto base = test::settings_for(directory, {file});
    (void)prepare(base, nullptr, nullptr);
    std::vector<DataSettings> changed(5, base);
    changed[0].max_seq_length = 7;
    changed[1].overlong = LengthPolicy::Cut;
    changed[2].train_on = LabelPolicy::All;
    changed[3].format = RecordFormat::Tokenized;
    changed[4].vocabulary = 101;
    for (const auto& settings : changed) EXPECT_FALSE(prepare(settings, nullptr, nullptr).cached);
    auto more_threads = base;
    more_threads.threads = 3;
    EXPECT_TRUE(prepare(more_threads, nullptr, nullptr).cached);
    directory.write("a.jsonl", many_samples(99) + tokens({1, 3}));
    EXPECT_FALSE(prepare(base, nullptr, nullptr).cached);
}

TEST(Prepare, MakesADamagedFileAgain) {
    const Directory directory;
    const auto file = directory.write("a.jsonl", many_samples(500));
    const auto settings = test::settings_for(directory, {file});
    const auto path = prepare(settings, nullptr, nullptr).file.path();
    const auto whole = test::read_all(TokenFile::open(path));
    const auto size = std::filesystem::file_size(path);
    const std::vector<std::function<void()>> damages = {
        [&] { std::filesystem::resize_file(path, size / 2); },
        [&] { std::filesystem::resize_file(path, 0); },
        [&] { std::ofstream(path) << "not HDF5"; },
        [&] {
            std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
            stream.seekp(static_cast<std::streamoff>(size / 2));
            stream << '\x7F';
        },
    };
    for (std::size_t i = 0; i < damages.size(); ++i) {
        damages[i]();
        const auto again = prepare(settings, nullptr, nullptr);
        EXPECT_FALSE(again.cached) << "damage " << i;
        EXPECT_NE(again.note.find(path.filename().string()), std::string::npos) << again.note;
        EXPECT_EQ(test::read_all(again.file), whole);
        EXPECT_TRUE(prepare(settings, nullptr, nullptr).cached);
    }
}

/// Runs `action` in `count` processes of their own; how many exited with each status.
std::map<int, int> in_processes(int count, const std::function<int()>& action) {
    std::vector<pid_t> children;
    for (int i = 0; i < count; ++i) {
        const auto child = ::fork();
        if (child == 0) {
            int status = 99;
            try {
                status = action();
            } catch (...) {
            }
            ::_exit(status);
        }
        children.push_back(child);
    }
    std::map<int, int> statuses;
    for (const auto child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        ++statuses[WIFEXITED(status) ? WEXITSTATUS(status) : -1];
    }
    return statuses;
}

TEST(Prepare, IsDoneOnceByManyProcesses) {
    const Directory directory;
    const auto file = directory.write("a.jsonl", many_samples(20000));
    const auto settings = test::settings_for(directory, {file});
    const auto statuses = in_processes(6, [&] {
        const auto prepared = prepare(settings, nullptr, nullptr);
        return prepared.file.samples() != 20000 ? 98 : prepared.cached ? 1 : 0;
    });
    EXPECT_EQ(statuses, (std::map<int, int>{{0, 1}, {1, 5}}));
}

TEST(Prepare, LeavesNothingWhenKilledHalfWay) {
    const Directory directory;
    const auto file = directory.write("a.jsonl", many_samples(20000));
    const auto settings = test::settings_for(directory, {file});
    const auto statuses = in_processes(1, [&]() -> int {
        (void)prepare(settings, nullptr, nullptr, [](std::int64_t records) {
            if (records > 1000) ::kill(::getpid(), SIGKILL);
        });
        return 0;
    });
    EXPECT_EQ(statuses, (std::map<int, int>{{-1, 1}}));
    EXPECT_EQ(directory.names("cache"), std::vector<std::string>{".prepare.lock"});
    directory.write("cache/.tokens-0123456789abcdef.h5.tmp-1-00000000", "left by a process killed while it copied");
    EXPECT_FALSE(prepare(settings, nullptr, nullptr).cached);
    EXPECT_EQ(directory.names("cache").size(), 2U);  // the lock and the token file
}

TEST(Prepare, KeepsMemoryFlat) {
    const auto peak_kib = [] {
        std::ifstream status("/proc/self/status");
        for (std::string word; status >> word;) {
            if (word == "VmHWM:") {
                long kib = 0;
                status >> kib;
                return kib;
            }
        }
        return 0L;
    };
    const Directory directory;
    const auto small = directory.write("small.jsonl", many_samples(1000));
    const auto large = directory.path("large.jsonl");
    {
        std::string sample = "{\"input_ids\": [1";
        for (int i = 1; i < 2000; ++i) sample += ", " + std::to_string(i % 100);
        sample += "]}\n";
        std::ofstream out(large);
        for (int i = 0; i < 5000; ++i) out << sample;  // 39 MB
    }
    const auto statuses = in_processes(1, [&] {
        (void)prepare(test::settings_for(directory, {small}), nullptr, nullptr);
        const auto before = peak_kib();
        auto settings = test::settings_for(directory, {large});
        settings.max_seq_length = 2048;
        settings.threads = 2;
        (void)prepare(settings, nullptr, nullptr);
        return peak_kib() - before < 20000 ? 0 : 97;
    });
    EXPECT_EQ(statuses, (std::map<int, int>{{0, 1}}));
}

}  // namespace
}  // namespace tandem
