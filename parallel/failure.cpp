// How a job of several ranks fails: with one message and one exit code.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "parallel/runtime.h"

namespace tandem {
namespace {

/// Ranks that fail for the same reason fail at nearly the same time; one that fails alone must not keep the others waiting.
constexpr double kTogether = 1.5;
/// Of several ranks that fail, but not all, the lowest speaks first and its abort ends the others before they speak.
constexpr double kApart = 0.02;

/// Messages may quote files, lines' ends included; what is printed is one line all the same, which scripts look for.
std::string on_one_line(const std::string& message) {
    std::string line;
    for (const char c : message) {
        if (c == '\n') line += "\\n";
        else if (c == '\r') line += "\\r";
        else line += c;
    }
    return line;
}

void print_error(const std::string& message) {
    std::fflush(stdout);
    const std::string line = "tandem: error: " + on_one_line(message) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
    std::fflush(stderr);
}

Outcome outcome_of(const std::exception& error) {
    if (const auto* known = dynamic_cast<const Error*>(&error)) return {static_cast<int>(known->failure()), known->what()};
    if (dynamic_cast<const std::bad_alloc*>(&error)) return {static_cast<int>(Failure::OutOfMemory), "out of memory on the host"};
    return {static_cast<int>(Failure::Run), error.what()};
}

std::string with_place(const Outcome& outcome, int rank, const std::string& host) {
    return fmt::format("{} (rank {}{}{})", outcome.message, rank, host.empty() ? "" : " on ", host);
}

int fail_ranks(Runtime& runtime, const Outcome& mine) {
    if (runtime.size() == 1) {
        print_error(mine.message);
        return mine.code;
    }
    const double patience = kTogether + kApart * std::min(runtime.rank(), 20);
    const auto all = runtime.exchange_outcomes(mine, patience);
    if (!all) {
        print_error(with_place(mine, runtime.rank(), runtime.hostname()));
        runtime.abort(mine.code);
    }
    const auto& first = all->front();
    if (runtime.rank() == 0) {
        const bool same = std::ranges::all_of(*all, [&](const Outcome& o) { return o.message == first.message; });
        print_error(same ? mine.message : with_place(mine, 0, runtime.hostname()));
    }
    return first.code;
}

}  // namespace

int run_ranks(Runtime& runtime, const std::function<int()>& work) {
    try {
        return work();
    } catch (const std::exception& error) {
        return fail_ranks(runtime, outcome_of(error));
    }
}

int report_start_failure(const std::exception& error) {
    const auto outcome = outcome_of(error);
    if (environment("SLURM_PROCID").value_or("0") == "0") print_error(outcome.message);
    return outcome.code;
}

}  // namespace tandem
