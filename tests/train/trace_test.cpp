// The trace file as other programs read it.
#include "src/train/trace.h"

#include <gtest/gtest.h>

#include <thread>

#include "kernels/base/error.h"
#include "parallel/lowering.h"
#include "src/io/json.h"
#include "tests/support/ranks.h"
#include "tests/train/temporary_directory.h"

namespace {

using namespace tandem;

/// Two micro-batches on the first of two stages.
Program example() {
    Lowering lowering;
    lowering.parts = {{0, 2}, {2, 3}};
    lowering.trained_buckets = {1};
    lowering.lowest_trained = 1;
    return make_programs(Schedule::OneFOneB, {2, 1, 2}, lowering)[0];
}

void run(Trace& trace, std::int64_t step, const Program& program) {
    trace.begin_step(step, program);
    for (const auto& i : program) {
        trace.begin(i);
        if (i.op == Op::Forward) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        trace.end(i);
    }
}

class TraceTest : public testing::Test {
protected:
    /// Of all ranks, read on rank 0.
    Json written(const Trace& trace) {
        const auto file = directory_.path() / "trace.json";
        trace.write(file);
        return test_world().rank() == 0 ? read_json_file(file) : Json();
    }
    static std::vector<Json> events_of(const Json& file, int rank) {
        std::vector<Json> events;
        for (const auto& event : file["traceEvents"]) {
            if (event["ph"] == "X" && event["pid"] == rank) events.push_back(event);
        }
        return events;
    }
    test::TemporaryDirectory directory_;
};

TEST_F(TraceTest, EveryInstructionOfEveryRankWithItsTime) {
    const Program program = example();
    Trace trace(test_world(), fmt::format("pipeline {}", test_world().rank()));
    for (const std::int64_t step : {7, 8}) run(trace, step, program);
    const Json file = written(trace);
    if (test_world().rank() != 0) return;
    EXPECT_EQ(file["displayTimeUnit"], "ms");
    EXPECT_EQ(file["metadata"]["steps"], 2);
    EXPECT_EQ(file["metadata"]["steps_not_recorded"], 0);
    EXPECT_EQ(file["metadata"]["events_not_recorded"], 0);
    for (int rank = 0; rank < test_world().size(); ++rank) {
        const auto events = events_of(file, rank);
        ASSERT_EQ(events.size(), 2 * program.size());
        double last = 0;
        for (std::size_t k = 0; k < events.size(); ++k) {
            const auto& event = events[k];
            const auto& i = program[k % program.size()];
            EXPECT_EQ(event["name"], to_text(i, program));
            EXPECT_EQ(event["cat"], name(i.op));
            EXPECT_EQ(event["tid"], 0);
            EXPECT_EQ(event["args"]["step"], k < program.size() ? 7 : 8);
            EXPECT_GE(event["ts"].get<double>(), last);
            last = event["ts"].get<double>() + event["dur"].get<double>();
            if (i.op == Op::Forward) {
                EXPECT_GE(event["dur"].get<double>(), 1900);
            }
        }
        EXPECT_LT(last, 60e6);
    }
    const auto events = events_of(file, 0);
    EXPECT_EQ(to_text(program), "F0 Sf0 F1 Sf1 Rb0 B0[1,2) Rb1 B1[1,2) +1 clip U1 G1");
    EXPECT_EQ(events[3]["args"], (Json{{"step", 7}, {"micro_batch", 1}, {"chunk", 0}, {"peer", 1}}));
    EXPECT_EQ(events[5]["args"], (Json{{"step", 7}, {"micro_batch", 0}, {"chunk", 0}, {"units", "[1,2)"}}));
    EXPECT_EQ(events[8]["args"], (Json{{"step", 7}, {"bucket", 1}}));
    EXPECT_EQ(events[9]["args"], (Json{{"step", 7}}));
    const auto process = file["traceEvents"][0];
    EXPECT_EQ(process["ph"], "M");
    EXPECT_EQ(process["args"]["name"], "rank 0: pipeline 0");
}

TEST_F(TraceTest, ItStopsAtItsLimitsAndSaysSo) {
    const Program program = example();
    Trace steps(test_world(), "", {.steps = 2, .events = 1000});
    for (std::int64_t step = 0; step < 5; ++step) run(steps, step, program);
    Json file = written(steps);
    if (test_world().rank() == 0) {
        EXPECT_EQ(events_of(file, 0).size(), 2 * program.size());
        EXPECT_EQ(file["metadata"]["steps"], 2);
        EXPECT_EQ(file["metadata"]["steps_not_recorded"], 3);
    }
    const int ranks = test_world().size();
    Trace events(test_world(), "", {.steps = 20, .events = 5 * ranks});
    run(events, 0, program);
    file = written(events);
    if (test_world().rank() == 0) {
        EXPECT_EQ(events_of(file, 0).size(), 5U);
        EXPECT_EQ(file["metadata"]["events_not_recorded"], ranks * static_cast<int>(program.size() - 5));
    }
    // No step has begun.
    Trace none(test_world(), "");
    none.begin(program[0]);
    none.end(program[0]);
    file = written(none);
    if (test_world().rank() == 0) {
        EXPECT_TRUE(events_of(file, 0).empty());
    }
}

TEST_F(TraceTest, AFileThatCannotBeWrittenIsEveryRanksError) {
    Trace trace(test_world(), "");
    EXPECT_THROW(trace.write("/proc/no/trace.json"), Error);
}

}  // namespace
