#include "parallel/watchdog.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>

#include <fmt/format.h>

#include "parallel/failure_message.h"
#include "parallel/live_transport.h"
#include "parallel/mpi_beats.h"

namespace tandem {
namespace {

/// Seconds between two looks.
constexpr double kBeat = 0.25;
/// A gap between two looks after which this process counts as having been stopped.
constexpr double kGap = 2;
/// A rank is quiet after this long, and after this much more for each beat that news may take.
constexpr double kQuiet = 2, kQuietPerBeat = 0.5;
/// Silence that no work explains, where no deadline is given: the watchdog's thread depends on nothing but the process.
constexpr double kSilence = 120;
/// How long a finding must stand. Silence has stood already.
constexpr double kSure = 1.5, kSureOfSilence = 0.5;
/// Several ranks may find something at the same time. Each says that it will speak, and for so long may hear that a lower one will.
constexpr double kLowerFirst = 0.5;
/// What a transport reports is most often the end of another rank, which has its own message or the launcher's.
constexpr double kOthersFirst = 4;
/// How long files and libraries may take while the job ends, and the end itself.
constexpr double kRecord = 1, kAbort = 1, kEnd = 5;

/// Runs `work` on another thread, which is left behind where it takes longer.
void within(double seconds, std::function<void()> work) {
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        bool done = false;
    };
    const auto state = std::make_shared<State>();
    std::thread([state, work = std::move(work)] {
        try {
            work();
        } catch (const std::exception&) {
            // The message is out; nothing better can be said.
        }
        const std::lock_guard lock(state->mutex);
        state->done = true;
        state->changed.notify_one();
    }).detach();
    std::unique_lock lock(state->mutex);
    state->changed.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return state->done; });
}

/// Whatever else hangs: a process that must end does.
void exit_after(double seconds) {
    std::thread([seconds] {
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
        _exit(1);
    }).detach();
}

}  // namespace

Watchdog::Watchdog(WatchdogSettings settings, WatchdogTeam team, std::function<void()> end_job)
    : settings_(std::move(settings)),
      team_(std::move(team)),
      end_job_(std::move(end_job)),
      peers_(team_.rank, static_cast<int>(team_.hosts.size()), Whereabouts::now()) {
    limits_.quiet = kQuiet + kQuietPerBeat * static_cast<double>(team_.beats ? team_.beats->targets() : 0);
    limits_.silence = settings_.deadline.value_or(kSilence);
    limits_.others_unknown = team_.hosts.size() > 1 && !team_.beats;
    Whereabouts::here().set_deadline(settings_.deadline);
    thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = std::uncaught_exceptions() > 0 ? Stop::Alone : Stop::Together;
    }
    changed_.notify_one();
    thread_.join();
}

void Watchdog::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        const Stop stop = stop_;
        lock.unlock();
        if (stop == Stop::Alone) return;
        const double now = Whereabouts::now();
        if (now - last_look_ > kGap) begin_anew(now);
        last_look_ = now;
        try {
            exchange(now);
            if (stop == Stop::Together && (!team_.beats || team_.beats->leave())) return;
        } catch (const std::exception&) {
            // A rank that is gone, or a broken network: the launcher ends the job, or the silence is noticed.
        }
        judge(now);
        lock.lock();
        // Towards the end nobody should have to wait for a beat.
        const std::chrono::duration<double> pause(stop == Stop::No ? kBeat : 0.002);
        changed_.wait_for(lock, pause, [this, stop] { return stop_ != stop; });
    }
}

/// Gives and takes signs of life.
void Watchdog::exchange(double now) {
    note_files(now);
    peers_.give(Whereabouts::here().look(), now);
    if (!team_.beats) return;
    team_.beats->receive([&](std::size_t first, std::span<const Sign> signs) { peers_.hear(first, signs, now); });
    team_.beats->beat(peers_.signs());
    if (team_.beats->ended_by() && end_heard_ == 0) {
        leave_message_to_others();
        end_heard_ = now;
    }
}

void Watchdog::judge(double now) {
    if (end_heard_ != 0) {
        if (now - end_heard_ > kEnd) _exit(1);
        return;
    }
    if (team_.beats && team_.beats->parting()) return;
    judge_transport(now);
    judge_ranks(now);
}

/// What is seen now was so before this process was stopped, and what it missed of others is no fault of theirs.
void Watchdog::begin_anew(double now) {
    Whereabouts::here().renew(now);
    peers_.restart(now);
    suspect_.reset();
    transport_broke_ = 0;
}

void Watchdog::note_files(double now) {
    if (!settings_.moved) return;
    const std::uint64_t moved = settings_.moved();
    if (moved != moved_) Whereabouts::here().progress(now);
    moved_ = moved;
}

void Watchdog::judge_ranks(double now) {
    const auto found = find_stall(peers_, limits_, now);
    if (found != suspect_) suspected_ = now;
    suspect_ = found;
    if (!found) return;
    const double sure = found->kind == Stall::Kind::Silent ? kSureOfSilence : kSure;
    if (now - suspected_ < sure) return;
    report({describe(*found, peers_, team_.hosts, now), found->rank, team_.hosts[static_cast<std::size_t>(found->rank)]});
}

void Watchdog::judge_transport(double now) {
    const std::string words = live_transport_error();
    if (words.empty()) transport_broke_ = 0;
    else if (transport_broke_ == 0) transport_broke_ = now;
    if (words.empty() || now - transport_broke_ < kOthersFirst) return;
    const std::string& host = team_.hosts[static_cast<std::size_t>(team_.rank)];
    report({fmt::format("rank {} on {} in {}: {}", team_.rank, host, to_text(peers_.sign(team_.rank).position), words), team_.rank, host});
}

bool Watchdog::a_lower_rank_speaks() {
    if (!team_.beats) return false;
    try {
        team_.beats->announce_end();
        for (const double end = Whereabouts::now() + kLowerFirst; Whereabouts::now() < end;) {
            team_.beats->receive([](std::size_t, std::span<const Sign>) {});
            if (team_.beats->ended_by().value_or(team_.rank) < team_.rank) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    } catch (const std::exception&) {
        // Whom this rank cannot tell hears of it by being ended.
    }
    return false;
}

void Watchdog::report(const StallReport& report) {
    if (!claim_failure_message()) return;
    exit_after(kEnd);
    if (a_lower_rank_speaks()) return;
    print_failure(report.message);
    if (settings_.record) within(kRecord, [record = settings_.record, report] { record(report); });
    within(kAbort, abort_live_transport);
    end_job_();
}

}  // namespace tandem
