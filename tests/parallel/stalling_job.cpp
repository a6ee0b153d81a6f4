// stalling_job HOW: a watched job, its deadline 2 s, in which a rank stalls, or takes long for a good reason; failure-test watches how it
// ends.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>

#include "kernels/base/error.h"
#include "parallel/whereabouts.h"
#include "tests/support/child_job.h"

using namespace tandem;

namespace {

constexpr double kDeadline = 2;

void rest(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

[[noreturn]] void loop() {
    for (std::atomic<int> turns = 0;;) ++turns;
}

/// All ranks but one wait for it, as receivers do.
void stall(Runtime& runtime, int who, const std::function<void()>& how) {
    const InPhase training(Phase::Training);
    Whereabouts::here().set_step(7);
    const bool stalls = runtime.rank() == who;
    const InInstruction here({.op = stalls ? Op::Backward : Op::ReceiveBackward, .micro_batch = 5}, 3, 10);
    if (stalls) how();
    runtime.world().barrier();
}

/// Ranks that wait for one that is busy, for longer than instructions may take.
void take_turns(Runtime& runtime) {
    const InPhase training(Phase::Training);
    const auto others_wait = [&](int who, const std::function<void()>& work) {
        const InInstruction here({.op = Op::Clip}, 3, 10);
        if (runtime.rank() == who) work();
        runtime.world().barrier();
    };
    others_wait(0, [] {
        const InPhase saving(Phase::Saving);
        rest(2 * kDeadline);
    });
    others_wait(runtime.size() - 1, [] {
        const InPhase loading(Phase::Loading);
        rest(2 * kDeadline);
    });
    // Each instruction is quick; what another rank waits for takes many.
    others_wait(1, [] {
        for (int i = 0; i < 8; ++i) {
            const InInstruction quick({.op = Op::Forward, .micro_batch = i}, static_cast<std::size_t>(i), 10);
            rest(kDeadline / 3);
        }
    });
}

/// The whole job is stopped, longer than the deadline, and somebody lets it go on in the middle of an instruction.
void pause_all(Runtime& runtime) {
    const InPhase training(Phase::Training);
    const InInstruction here({.op = Op::Forward}, 3, 10);
    std::raise(SIGSTOP);
    rest(1.5 * kDeadline);
    runtime.world().barrier();
}

/// Everybody waits for a message that nobody sends.
void lose_a_message(Runtime& runtime) {
    const InPhase training(Phase::Training);
    std::string text;
    if (runtime.rank() == 0) runtime.world().barrier();
    else runtime.world().broadcast(text, runtime.rank() == 1 ? 0 : 1);
}

int work(Runtime& runtime, const std::string& how) {
    WatchdogSettings settings{.deadline = how == "paused" ? 2 * kDeadline : kDeadline};
    if (how == "record_hangs") settings.record = [](const StallReport&) { pause(); };
    runtime.watch(settings);
    const int last = runtime.size() - 1;
    const auto stop = [] {
        rest(1);  // the others hear where it is
        std::raise(SIGSTOP);
    };
    if (how == "loops" || how == "record_hangs" || how == "alone") stall(runtime, last, loop);
    if (how == "stops") stall(runtime, last, stop);
    if (how == "stops_first") stall(runtime, 0, stop);
    if (how == "stops_loading") {
        const InPhase loading(Phase::Loading);
        if (runtime.rank() == last) stop();
    }
    if (how == "fails" && runtime.rank() == last) fail(Failure::Input, "shard 7 is truncated");
    if (how == "paused") pause_all(runtime);
    if (how == "busy") take_turns(runtime);
    if (how == "lost_message") lose_a_message(runtime);
    if (how == "leaves_last") {
        if (runtime.rank() == last) rest(2 * kDeadline);
        return 0;  // the others are at the end, and wait there
    }
    runtime.world().barrier();
    return 0;
}

}  // namespace

int main(int argc, char** argv) { return tandem::test::child_job(argc, argv, work); }
