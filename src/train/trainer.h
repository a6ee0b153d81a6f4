// One training run, from the configuration to the adapter or model it leaves behind.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>

#include "parallel/mesh.h"
#include "src/engine/engine.h"
#include "src/engine/transport.h"
#include "src/plan/capacity.h"
#include "src/train/checkpoint.h"
#include "src/train/data_source.h"
#include "src/train/evaluate.h"
#include "src/train/lr_schedule.h"
#include "src/train/progress.h"
#include "src/train/run_log.h"
#include "src/train/stop_request.h"
#include "src/train/trace.h"

namespace tandem {

/// What the process offers a run.
struct RunEnvironment {
    Communicator& world;
    int threads;      ///< for this rank
    int local_ranks;  ///< of the job on this host
    int local_rank;   ///< among them
    std::FILE* out;   ///< the terminal on rank 0, null elsewhere
    std::string host;
    std::string version;  ///< of the program
    bool trace = false;   ///< write trace.json
};

class Trainer {
public:
    /// Loads model and data, resumes if there is something to resume. Collective.
    Trainer(const RunConfig& config, const RunEnvironment& environment);

    /// Runs to the end (0) or until asked to stop (75). Throws Diverged on a non-finite loss or gradient with training.nonfinite = stop.
    int run();

private:
    struct StepResult {
        StepRecord record;
        bool finite = true;
    };
    void resume();
    /// What checkpoint.resume asks for, verified; nothing where there is none to find.
    [[nodiscard]] std::optional<std::filesystem::path> find_checkpoint() const;
    void describe_run() const;
    void write_manifest() const;
    [[nodiscard]] StepResult step(std::int64_t step);
    double accumulate_gradients(std::int64_t step);
    [[nodiscard]] PlanSubject subject() const { return {config_, layout_, Purpose::Train, environment_.threads}; }
    [[nodiscard]] const StagePlan& stage_plan() const { return plan_.stages[static_cast<std::size_t>(mesh_.place().pipeline)]; }
    /// High-water marks of the arenas and of the process, bytes, of the largest rank. Collective.
    [[nodiscard]] std::pair<std::size_t, std::size_t> memory_peaks() const;
    void report_memory() const;
    void validate(std::int64_t step);
    void save(std::int64_t step);
    [[nodiscard]] bool save_is_due(std::int64_t step) const;
    [[nodiscard]] bool validation_is_due(std::int64_t step) const;  ///< between the first step and the last
    /// Whether any rank was asked to stop, and whether rank 0's clock says that a save is due.
    struct Agreement {
        bool stop, save;
    };
    Agreement agree();
    [[nodiscard]] ResultRecipe recipe() const;
    void write_result();
    void write_trace();
    void say(const std::string& line) const;

    RunEnvironment environment_;
    DevicePlace place_;
    RunConfig config_;  ///< device.backend is what `auto` stands for here
    StopRequest stop_request_;
    RankLayout layout_;
    OpenedModel opened_;  ///< until it is loaded
    MemoryPlan plan_;
    Device device_;
    DeviceTransport transport_;
    std::string card_;  ///< what is taken of the GPU besides what is planned; empty on CPUs
    TextTools tools_;
    Mesh mesh_;
    Outbox outbox_;
    LoadedModel model_;
    ParamTable whole_;  ///< every parameter of the model, whichever rank holds it
    std::optional<DataSource> data_, validation_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Trace> trace_;  ///< null without --trace
    LearningRateSchedule schedule_;
    std::int64_t total_steps_ = 0;
    std::int64_t done_ = 0;  ///< completed steps
    CheckpointStore checkpoints_;
    std::string base_;  ///< fingerprint of the base model
    std::unique_ptr<RunLog> log_;
    std::chrono::steady_clock::time_point last_save_;
    std::int64_t saved_step_ = -1;
    std::int64_t skipped_ = 0;
};

}  // namespace tandem
