// GoogleTest among ranks: rank 0 prints the report, a failure on any rank is printed with its rank and fails the program on
// all of them. Ranks meet after every test, so that one that left a test early is noticed at once.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "parallel/runtime.h"
#include "tests/support/ranks.h"

namespace {

using namespace tandem;

/// How long the others may take to finish a test in which one rank failed, seconds.
constexpr double kPatience = 5.0;

Runtime* runtime = nullptr;
std::array<char, 512> state;  // written by the signal handler, so no allocation there

void note(const std::string& text) {
    const std::string line = "rank " + std::to_string(runtime ? runtime->rank() : 0) + " " + text + "\n";
    std::strncpy(state.data(), line.c_str(), state.size() - 1);
}

extern "C" void print_state(int /*signal*/) {
    const auto written = write(STDERR_FILENO, state.data(), strnlen(state.data(), state.size()));
    static_cast<void>(written);
}

class AmongRanks : public testing::EmptyTestEventListener {
    void OnTestStart(const testing::TestInfo& info) override {
        failed_here_ = false;
        test_ = std::string(info.test_suite_name()) + "." + info.name();
        note("was in test " + test_);
    }
    void OnTestPartResult(const testing::TestPartResult& result) override {
        if (!result.failed()) return;
        failed_here_ = true;
        if (runtime->rank() == 0) return;  // GoogleTest prints it
        const std::string where = result.file_name() ? fmt::format("{}:{}: ", result.file_name(), result.line_number()) : "";
        fmt::print(stderr, "[rank {}] {}{} failed:\n{}\n", runtime->rank(), where, test_, result.message());
        std::fflush(stderr);
    }
    void OnTestEnd(const testing::TestInfo& info) override { meet(info.result()->Failed() || failed_here_); }

    void meet(bool failed) {
        note("waits for the other ranks after test " + test_);
        const Outcome mine{failed ? 1 : 0, test_};
        const auto all = runtime->exchange_outcomes(mine, failed ? std::optional(kPatience) : std::nullopt);
        if (!all) {
            fmt::print(stderr, "[rank {}] {} failed here, and other ranks did not finish it within {} s: ending the job\n", runtime->rank(),
                       test_, kPatience);
            runtime->abort(1);
        }
        for (std::size_t r = 0; r < all->size(); ++r) {
            const auto& other = (*all)[r];
            if (runtime->rank() != 0) continue;
            if (other.code != 0 && r != 0) fmt::print(stderr, "[  FAILED  ] {} on rank {}\n", other.message, r);
            if (other.message != test_) {
                fmt::print(stderr, "rank {} was in test {} while rank 0 was in {}: ending the job\n", r, other.message, test_);
                runtime->abort(1);
            }
        }
    }

    bool failed_here_ = false;
    std::string test_;
};

}  // namespace

namespace tandem {

Runtime& test_runtime() {
    require(runtime != nullptr, "test_runtime() is for tests that this main runs");
    return *runtime;
}

Communicator& test_world() { return test_runtime().world(); }

}  // namespace tandem

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    try {
        Runtime here;
        runtime = &here;
        note("was outside the tests");
        std::signal(SIGUSR2, print_state);
        auto& listeners = testing::UnitTest::GetInstance()->listeners();
        listeners.Append(new AmongRanks);
        if (here.rank() != 0) {
            delete listeners.Release(listeners.default_result_printer());
            delete listeners.Release(listeners.default_xml_generator());
        }
        bool failed = RUN_ALL_TESTS() != 0;
        note("waits for the other ranks after all tests");
        const auto all = here.exchange_outcomes({failed ? 1 : 0, ""}, std::nullopt);
        for (const auto& other : *all) failed = failed || other.code != 0;
        if (failed && here.rank() == 0 && here.size() > 1) fmt::print(stderr, "tests failed on at least one of {} ranks\n", here.size());
        return failed ? 1 : 0;
    } catch (const std::exception& error) {
        return report_start_failure(error);
    }
}
