// Ends a job in which a rank has stalled, with one message that names it. One thread a rank, beside the one that works.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "parallel/peers.h"
#include "parallel/stall.h"

namespace tandem {

class MpiBeats;

/// What the watchdog says, and about whom.
struct StallReport {
    std::string message;
    int rank = 0;
    std::string host;
};

struct WatchdogSettings {
    std::optional<double> deadline = std::nullopt;  ///< seconds, of every instruction; absent: from how long they take
    /// Puts the report where others find it. Called on a thread of its own, and not waited for long.
    std::function<void(const StallReport&)> record = {};
    /// A count that grows while files are read or written: progress of phases without instructions.
    std::function<std::uint64_t()> moved = {};
};

/// Who watches whom.
struct WatchdogTeam {
    int rank = 0;
    std::vector<std::string> hosts;   ///< by rank
    std::unique_ptr<MpiBeats> beats;  ///< null: one rank, or a library that lets no second thread call it
};

class Watchdog {
public:
    /// `end_job` ends all ranks with exit code 1, from the watchdog's thread; where it has not within a few seconds, this process exits.
    Watchdog(WatchdogSettings settings, WatchdogTeam team, std::function<void()> end_job);
    /// Waits for all ranks to come here, unless an exception is on its way or the job is ending.
    ~Watchdog();
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

private:
    enum class Stop : std::uint8_t { No, Together, Alone };
    void run();
    void begin_anew(double now);
    void exchange(double now);
    void note_files(double now);
    void judge(double now);
    void judge_ranks(double now);
    void judge_transport(double now);
    void report(const StallReport& report);
    /// Tells the others that this rank will speak.
    bool a_lower_rank_speaks();

    WatchdogSettings settings_;
    WatchdogTeam team_;
    std::function<void()> end_job_;
    Peers peers_;
    StallLimits limits_;
    double last_look_ = Whereabouts::now();
    std::uint64_t moved_ = 0;
    std::optional<Stall> suspect_;
    double suspected_ = 0;        ///< since when
    double transport_broke_ = 0;  ///< when; 0: all is well
    double end_heard_ = 0;        ///< when another rank said that it ends the job; 0: none has

    std::mutex mutex_;
    std::condition_variable changed_;
    Stop stop_ = Stop::No;
    std::thread thread_;
};

}  // namespace tandem
