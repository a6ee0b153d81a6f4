// log.jsonl: one line a step, cut back on resume, no torn lines, no NaN.
#include "src/train/run_log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "src/io/files.h"
#include "tests/train/temporary_directory.h"

namespace tandem::test {
namespace {

std::vector<Json> lines(const std::filesystem::path& file) {
    std::vector<Json> records;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) records.push_back(Json::parse(line));
    return records;
}

TEST(RunLog, WritesWhatTheContractNames) {
    const TemporaryDirectory dir;
    RunLog log(dir.path() / "log.jsonl", 0);
    log.evaluation(0, 2.0);
    log.step({1, 2.5, 0.125, 1e-4, 100, 60, 2.0, 1 << 20, 1 << 21});
    const auto records = lines(dir.path() / "log.jsonl");
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0].at("step"), 0);
    EXPECT_EQ(records[0].at("eval_loss"), 2.0);
    EXPECT_NEAR(records[0].at("eval_perplexity").get<double>(), std::exp(2.0), 1e-12);
    for (const char* key : {"step", "loss", "grad_norm", "learning_rate", "tokens", "trained_tokens", "step_seconds", "tokens_per_second",
                            "memory_peak_bytes", "rss_peak_bytes"}) {
        EXPECT_TRUE(records[1].contains(key)) << key;
    }
    EXPECT_EQ(records[1].at("tokens_per_second"), 50.0);
}

TEST(RunLog, NonFiniteIsNullAndSaysSo) {
    const TemporaryDirectory dir;
    RunLog log(dir.path() / "log.jsonl", 0);
    log.step({1, std::numeric_limits<double>::quiet_NaN(), 1, 1, 1, 1, 1, 1, 1});
    const auto records = lines(dir.path() / "log.jsonl");
    EXPECT_TRUE(records[0].at("loss").is_null());
    EXPECT_EQ(records[0].at("nonfinite"), true);
}

TEST(RunLog, ResumeCutsBackToTheCheckpointAndDropsTornLines) {
    const TemporaryDirectory dir;
    const auto file = dir.path() / "log.jsonl";
    {
        RunLog log(file, 0);
        log.evaluation(0, 2.0);
        for (std::int64_t s = 1; s <= 5; ++s) log.step({s, 1, 1, 1, 1, 1, 1, 1, 1});
    }
    std::ofstream(file, std::ios::app) << R"({"step": 3, "loss": 0.)";
    RunLog log(file, 3);
    EXPECT_TRUE(log.evaluated(0));
    EXPECT_FALSE(log.evaluated(3));
    log.step({4, 9, 1, 1, 1, 1, 1, 1, 1});
    const auto records = lines(file);
    ASSERT_EQ(records.size(), 5U);
    for (std::int64_t s = 0; s < 5; ++s) EXPECT_EQ(records[static_cast<std::size_t>(s)].at("step"), s);
    EXPECT_EQ(records[4].at("loss"), 9.0);
}

TEST(RunLog, AFreshRunStartsANewFile) {
    const TemporaryDirectory dir;
    const auto file = dir.path() / "log.jsonl";
    { RunLog(file, 0).step({1, 1, 1, 1, 1, 1, 1, 1, 1}); }
    const RunLog log(file, 0);
    EXPECT_TRUE(lines(file).empty());
}

}  // namespace
}  // namespace tandem::test
