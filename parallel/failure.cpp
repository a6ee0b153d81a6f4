// How a job of several ranks fails: with one message and one exit code.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>

#include "parallel/failure_message.h"
#include "parallel/runtime.h"
#include "parallel/whereabouts.h"

namespace tandem {
namespace {

/// Ranks that fail for the same reason fail at nearly the same time; one that fails alone must not keep the others waiting.
constexpr double kTogether = 1.5;
/// Of several ranks that fail, but not all, the lowest speaks first and its abort ends the others before they speak.
constexpr double kApart = 0.02;
/// How long a job takes to end that another rank, or the watchdog, ends.
constexpr std::chrono::seconds kEnding{10};

Outcome outcome_of(const std::exception& error) {
    if (const auto* known = dynamic_cast<const Error*>(&error)) return {static_cast<int>(known->failure()), known->what()};
    if (dynamic_cast<const std::bad_alloc*>(&error)) return {static_cast<int>(Failure::OutOfMemory), "out of memory on the host"};
    return {static_cast<int>(Failure::Run), error.what()};
}

std::string with_place(const Outcome& outcome, int rank, const std::string& host) {
    return fmt::format("{} (rank {}{}{})", outcome.message, rank, host.empty() ? "" : " on ", host);
}

/// The job's message, from this rank. Another rank may have spoken, or this one's watchdog, and the job is ending: then this rank only
/// waits for that.
void speak(Runtime& runtime, const std::string& message, int code) {
    std::fflush(stdout);
    if (claim_failure_message()) return print_failure(message);
    std::this_thread::sleep_for(kEnding);
    runtime.abort(code);
}

/// Nothing where not all ranks have failed, or their ends cannot be known.
std::optional<std::vector<Outcome>> ends_of_all(Runtime& runtime, const Outcome& mine) {
    try {
        return runtime.exchange_outcomes(mine, kTogether + kApart * std::min(runtime.rank(), 20));
    } catch (const Error&) {
        return std::nullopt;  // MPI has failed, too; the first failure is the one to tell
    }
}

int fail_ranks(Runtime& runtime, const Outcome& mine) {
    Whereabouts::here().enter(Phase::Ending, Whereabouts::now());
    if (runtime.size() == 1) {
        speak(runtime, mine.message, mine.code);
        return mine.code;
    }
    const auto all = ends_of_all(runtime, mine);
    if (!all) {
        speak(runtime, with_place(mine, runtime.rank(), runtime.hostname()), mine.code);
        runtime.abort(mine.code);
    }
    const auto& first = all->front();
    if (runtime.rank() == 0) {
        const bool same = std::ranges::all_of(*all, [&](const Outcome& o) { return o.message == first.message; });
        speak(runtime, same ? mine.message : with_place(mine, 0, runtime.hostname()), mine.code);
    }
    return first.code;
}

}  // namespace

int run_ranks(Runtime& runtime, const std::function<int()>& work) {
    renew_failure_message();
    try {
        const int code = work();
        Whereabouts::here().enter(Phase::Ending, Whereabouts::now());
        return code;
    } catch (const std::exception& error) {
        return fail_ranks(runtime, outcome_of(error));
    }
}

int report_start_failure(const std::exception& error) {
    const auto outcome = outcome_of(error);
    if (environment("SLURM_PROCID").value_or("0") == "0") print_failure(outcome.message);
    return outcome.code;
}

}  // namespace tandem
