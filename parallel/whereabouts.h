// What this process is doing, said by the thread that works and read by the watchdog's. Saying it costs some ten nanoseconds and needs no
// watchdog.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "parallel/deadlines.h"
#include "parallel/position.h"

namespace tandem {

enum class Activity : std::uint8_t {
    Working,
    Unclear,  ///< works, or waits for a device that waits for other ranks
    Waiting,  ///< for other ranks
};

struct Whereabout {
    Position position;
    Activity activity = Activity::Working;
    double since = 0;     ///< when it came here, or made progress last
    double deadline = 0;  ///< how long it may stay without progress
};

/// Times are seconds of one clock, not of the day.
class Whereabouts {
public:
    /// Of this process, with the steady clock.
    static Whereabouts& here();
    static double now();

    void set_deadline(std::optional<double> given);
    /// Ranks meet on their devices (NCCL): a host that waits for its device may be waiting for another rank.
    void devices_meet(bool meet) { devices_meet_ = meet; }

    /// Returns the phase before.
    Phase enter(Phase phase, double now);
    void set_step(std::int64_t step);
    void begin(const Instruction& instruction, std::size_t at, std::size_t count, double now);
    void end(double now);
    /// Where there are no instructions: the deadline begins anew.
    void progress(double now);
    /// Whatever it is doing, it begins anew: the process was stopped, and so were the clocks that it could be measured by.
    void renew(double now);
    void wait(int ranks) { waiting_ += ranks; }  ///< 1: begins to, -1: ends

    [[nodiscard]] Whereabout look() const;

private:
    mutable std::mutex mutex_;
    Deadlines deadlines_;
    Position position_;
    double since_ = now();
    bool began_here_ = false;  ///< what is between two instructions has been seen from its beginning
    std::atomic<bool> devices_meet_ = false;
    std::atomic<int> waiting_ = 0;
};

/// The phase of everything until its end; then the phase is again what it was.
class InPhase {
public:
    explicit InPhase(Phase phase) : before_(Whereabouts::here().enter(phase, Whereabouts::now())) {}
    ~InPhase() { Whereabouts::here().enter(before_, Whereabouts::now()); }
    InPhase(const InPhase&) = delete;
    InPhase& operator=(const InPhase&) = delete;

private:
    Phase before_;
};

class InInstruction {
public:
    InInstruction(const Instruction& instruction, std::size_t at, std::size_t count) {
        Whereabouts::here().begin(instruction, at, count, Whereabouts::now());
    }
    ~InInstruction() { Whereabouts::here().end(Whereabouts::now()); }
    InInstruction(const InInstruction&) = delete;
    InInstruction& operator=(const InInstruction&) = delete;
};

/// Around calls that return when other ranks have done their part.
class WaitingForRanks {
public:
    WaitingForRanks() { Whereabouts::here().wait(1); }
    ~WaitingForRanks() { Whereabouts::here().wait(-1); }
    WaitingForRanks(const WaitingForRanks&) = delete;
    WaitingForRanks& operator=(const WaitingForRanks&) = delete;
};

/// One more tensor, record or token.
void mark_progress();

}  // namespace tandem
