#include "parallel/whereabouts.h"

#include <chrono>

namespace tandem {

Whereabouts& Whereabouts::here() {
    static Whereabouts of_this_process;
    return of_this_process;
}

double Whereabouts::now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void mark_progress() { Whereabouts::here().progress(Whereabouts::now()); }

void Whereabouts::set_deadline(std::optional<double> given) {
    const std::lock_guard lock(mutex_);
    deadlines_ = Deadlines(given);
}

Phase Whereabouts::enter(Phase phase, double now) {
    const std::lock_guard lock(mutex_);
    const Phase before = position_.phase;
    position_ = {.phase = phase, .step = position_.step};
    since_ = now;
    began_here_ = false;
    return before;
}

void Whereabouts::set_step(std::int64_t step) {
    const std::lock_guard lock(mutex_);
    position_.step = static_cast<std::int32_t>(step);
}

void Whereabouts::begin(const Instruction& i, std::size_t at, std::size_t count, double now) {
    const std::lock_guard lock(mutex_);
    if (!has_instructions(position_.phase)) {
        since_ = now;  // a rehearsal: a plan, a measurement
        return;
    }
    if (began_here_) deadlines_.completed(position_, now - since_);
    position_.in_instruction = true;
    position_.op = i.op;
    position_.chunk = i.chunk;
    position_.micro_batch = i.micro_batch;
    position_.bucket = i.bucket;
    position_.instruction = static_cast<std::int32_t>(at);
    position_.count = static_cast<std::int32_t>(count);
    since_ = now;
}

void Whereabouts::end(double now) {
    const std::lock_guard lock(mutex_);
    if (!position_.in_instruction) return;
    deadlines_.completed(position_, now - since_);
    position_.in_instruction = false;
    ++position_.instruction;
    since_ = now;
    began_here_ = true;
}

void Whereabouts::progress(double now) {
    const std::lock_guard lock(mutex_);
    if (repeats(position_.phase) && has_instructions(position_.phase)) return;  // instructions are progress, and nothing else
    deadlines_.completed(position_, now - since_);
    since_ = now;
}

void Whereabouts::renew(double now) {
    const std::lock_guard lock(mutex_);
    since_ = now;
    began_here_ = false;
}

Whereabout Whereabouts::look() const {
    const std::lock_guard lock(mutex_);
    Activity activity = Activity::Working;
    if (waiting_ > 0 || position_.phase == Phase::Ending) activity = Activity::Waiting;
    else if (devices_meet_ && has_instructions(position_.phase)) activity = Activity::Unclear;
    return {position_, activity, since_, deadlines_.of(position_)};
}

}  // namespace tandem
