// --trace: what every rank did when, instruction by instruction, as a file that chrome://tracing and ui.perfetto.dev open.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/executor.h"

namespace tandem {

/// What is kept; later steps are run without being recorded, and the file says so.
struct TraceLimits {
    std::int64_t steps = 20;
    std::int64_t events = 200'000;  ///< of all ranks; about 150 bytes of file each, and of memory on every rank while it is written
};

/// Records the instructions of steps between begin_step() and the limits. Nothing is written before write().
class Trace final : public InstructionObserver {
public:
    /// Collective: all ranks' clocks read 0 when they leave a barrier here. `label` names this rank: "data 0, pipeline 1".
    Trace(Communicator& world, std::string label, TraceLimits limits = {});

    void begin_step(std::int64_t step, const Program& program);
    void begin(const Instruction& i) override;
    void end(const Instruction& i) override;

    /// Writes all ranks' events to `file` on rank 0 (trace event format, complete events: a process a rank). Collective. Throws as
    /// write_file_atomically does, on every rank.
    void write(const std::filesystem::path& file) const;

private:
    struct Event {
        Instruction instruction;
        std::size_t step = 0;           ///< of steps_
        double start = 0, seconds = 0;  ///< since the barrier
    };
    struct Step {
        std::int64_t number = 0;
        InstructionText text;
    };
    [[nodiscard]] double now() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - origin_).count(); }
    [[nodiscard]] std::string events_text() const;

    Communicator& world_;
    std::string label_;
    TraceLimits limits_;
    std::chrono::steady_clock::time_point origin_;
    std::vector<Step> steps_;
    std::vector<Event> events_;
    std::int64_t seen_steps_ = 0, lost_events_ = 0;
    bool recording_ = false, open_ = false;
};

}  // namespace tandem
