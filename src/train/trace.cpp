#include "src/train/trace.h"

#include <cmath>
#include <utility>

#include "kernels/base/error.h"
#include "src/io/files.h"
#include "src/io/json.h"
#include "src/train/rank_zero.h"

namespace tandem {
namespace {

/// Trace files count microseconds.
double micro(double seconds) { return std::round(seconds * 1e9) / 1e3; }

Json arguments(const Instruction& i, std::int64_t step) {
    Json result = {{"step", step}};
    if (has_slot(i.op)) {
        result["micro_batch"] = i.micro_batch;
        result["chunk"] = i.chunk;
        if (i.units.count() > 0) result["units"] = fmt::format("[{},{})", i.units.first, i.units.last);
        if (is_message(i.op)) result["peer"] = i.peer;
    } else if (i.bucket >= 0) {
        result["bucket"] = i.bucket;
    }
    return result;
}

}  // namespace

Trace::Trace(Communicator& world, std::string label, TraceLimits limits) : world_(world), label_(std::move(label)), limits_(limits) {
    world.barrier();
    origin_ = std::chrono::steady_clock::now();
}

void Trace::begin_step(std::int64_t step, const Program& program) {
    recording_ = seen_steps_++ < limits_.steps;
    if (recording_) steps_.push_back({step, InstructionText(program)});
}

void Trace::begin(const Instruction& i) {
    if (!recording_) return;
    open_ = static_cast<std::int64_t>(events_.size()) < limits_.events / world_.size();
    if (!open_) {
        ++lost_events_;
        return;
    }
    events_.push_back({i, steps_.size() - 1, 0, 0});
    events_.back().start = now();
}

void Trace::end(const Instruction& /*i*/) {
    if (!recording_ || !open_) return;
    events_.back().seconds = now() - events_.back().start;
    open_ = false;
}

std::string Trace::events_text() const {
    const int rank = world_.rank();
    const Json process = {
        {"name", "process_name"}, {"ph", "M"}, {"pid", rank}, {"args", {{"name", fmt::format("rank {}: {}", rank, label_)}}}};
    std::string text = dump_json(process);
    for (const auto& event : events_) {
        const auto& step = steps_[event.step];
        const Instruction& i = event.instruction;
        text += ",\n" + dump_json({{"name", step.text(i)},
                                   {"cat", tandem::name(i.op)},
                                   {"ph", "X"},
                                   {"ts", micro(event.start)},
                                   {"dur", micro(event.seconds)},
                                   {"pid", rank},
                                   {"tid", 0},
                                   {"args", arguments(i, step.number)}});
    }
    return text;
}

void Trace::write(const std::filesystem::path& file) const {
    const auto parts = world_.gather(events_text());
    std::int64_t lost = lost_events_;
    world_.sum(std::span(&lost, 1));
    on_rank_zero(world_, [&] {
        const Json metadata = {{"steps", static_cast<std::int64_t>(steps_.size())},
                               {"steps_not_recorded", seen_steps_ - static_cast<std::int64_t>(steps_.size())},
                               {"events_not_recorded", lost},
                               {"clock", "steady clocks of the ranks, 0 when each left the same barrier"}};
        std::string text = "{\"displayTimeUnit\": \"ms\",\n\"metadata\": " + dump_json(metadata) + ",\n\"traceEvents\": [\n";
        for (std::size_t r = 0; r < parts.size(); ++r) text += (r == 0 ? "" : ",\n") + parts[r];
        write_file_atomically(file, text + "\n]}\n");
    });
}

}  // namespace tandem
