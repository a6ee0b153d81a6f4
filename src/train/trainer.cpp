#include "src/train/trainer.h"

#include <array>
#include <cmath>
#include <filesystem>
#include <tuple>

#include "parallel/whereabouts.h"
#include "src/config/units.h"
#include "src/model/adapter_base.h"
#include "src/train/rank_zero.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The sign of what is not a number means nothing, and differs from machine to machine.
std::string spelled(double loss) { return std::isnan(loss) ? "nan" : fmt::format("{}", loss); }

}  // namespace

void Trainer::say(const std::string& line) const {
    if (!environment_.out) return;
    fmt::print(environment_.out, "{}\n", line);
    std::fflush(environment_.out);
}

/// Forward and backward of this rank's micro-batches; returns the sum of their token losses over all ranks.
double Trainer::accumulate_gradients(std::int64_t step) {
    std::vector<MicroBatch> batches;
    for (const auto& rows : data_->plan->deal(step, mesh_.sizes().data, mesh_.place().data, config_.training.micro_batch_size))
        batches.push_back(assemble(data_->prepared.file, rows));
    std::vector<HostBatch> views;
    for (const MicroBatch& batch : batches) views.push_back(host_batch(batch));
    if (trace_) trace_->begin_step(step, engine_->program(static_cast<int>(views.size())));
    return engine_->accumulate(views);
}

Trainer::StepResult Trainer::step(std::int64_t step) {
    const auto start = Clock::now();
    StepResult result;
    StepRecord& r = result.record;
    r.step = step;
    r.tokens = data_->plan->tokens(step);
    r.trained_tokens = data_->plan->trained_tokens(step);
    r.learning_rate = schedule_.at(step);
    r.loss = accumulate_gradients(step) / static_cast<double>(r.trained_tokens);
    // Reduced gradients and losses are the same bits on every rank, so every rank decides alike.
    r.grad_norm = engine_->clip(r.trained_tokens);
    result.finite = std::isfinite(r.loss) && std::isfinite(r.grad_norm);
    if (result.finite) engine_->update(r.learning_rate, step - skipped_);
    else r.grad_norm = std::numeric_limits<double>::quiet_NaN();
    std::tie(r.memory_peak_bytes, r.rss_peak_bytes) = memory_peaks();
    r.seconds = seconds_since(start);
    return result;
}

void Trainer::validate(std::int64_t step) {
    if (!validation_) return;
    const std::string known =
        on_rank_zero(environment_.world, std::function<std::string()>([&] { return log_->evaluated(step) ? "yes" : "no"; }));
    if (known == "yes") return;
    const auto start = Clock::now();
    const EvaluationResult result =
        evaluate({*model_.transformer, plan_.split, mesh_, outbox_}, *validation_, config_.training.micro_batch_size);
    on_rank_zero(environment_.world, std::function<void()>([&] { log_->evaluation(step, result.loss); }));
    say(fmt::format("validation after {} steps: loss {:.4f}, perplexity {:.2f} over {} trained tokens ({})", step, result.loss,
                    result.perplexity(), result.trained_tokens, human_duration(seconds_since(start))));
}

void Trainer::save(std::int64_t step) {
    if (saved_step_ == step) return;
    const CheckpointHeader header{step, config_.training.seed, skipped_, base_, data_->prepared.file.key(), recipe()};
    Context ctx = model_.transformer->context();
    checkpoints_.save(ctx, environment_.world, engine_->state(), whole_, header);
    saved_step_ = step;
    last_save_ = Clock::now();
}

Trainer::Agreement Trainer::agree() {
    const double minutes = config_.checkpoint.minutes;
    const bool due = environment_.world.rank() == 0 && minutes > 0 && seconds_since(last_save_) > 60 * minutes;
    std::array<std::int64_t, 2> flags = {stop_request_.raised() ? 1 : 0, due ? 1 : 0};
    environment_.world.max(flags);
    return {flags[0] != 0, flags[1] != 0};
}

bool Trainer::save_is_due(std::int64_t step) const { return config_.checkpoint.every > 0 && step % config_.checkpoint.every == 0; }

std::pair<std::size_t, std::size_t> Trainer::memory_peaks() const {
    std::array<std::int64_t, 2> peaks = {static_cast<std::int64_t>(device_.memory->peak()),
                                         static_cast<std::int64_t>(peak_resident_memory())};
    environment_.world.max(peaks);
    return {static_cast<std::size_t>(peaks[0]), static_cast<std::size_t>(peaks[1])};
}

void Trainer::report_memory() const {
    const auto [arenas, process] = memory_peaks();
    say(fmt::format("memory used, the largest rank: {} of {} planned; process {}", human_bytes(arenas), human_bytes(plan_.peak()),
                    human_bytes(process)));
    if (const std::string work = device_.backend->work_summary(); !work.empty()) say(work);
}

ResultRecipe Trainer::recipe() const {
    const ModelDescription& described = model_.opened.description;
    const auto& lora = described.lora;
    ResultRecipe recipe{config_.model.path, "", config_.output.dtype.value_or(config_.model.dtype)};
    if (lora && config_.method.type != Method::Full) {
        recipe.adapter_config = adapter_config_json(*lora, adapted_modules(whole_), config_.model.path).dump();
        if (described.quantization) recipe.base = adapter_base_text(*described.quantization, described.model);
    }
    return recipe;
}

bool Trainer::validation_is_due(std::int64_t step) const {
    return config_.evaluation.every > 0 && step % config_.evaluation.every == 0 && step < total_steps_;
}

void Trainer::write_result() {
    const std::filesystem::path out = config_.output.dir;
    tandem::write_result(environment_.world, trained_tensors(model_.transformer->context(), engine_->state(), whole_), recipe(),
                         out / (config_.method.type == Method::Full ? "model" : "adapter"));
    say(fmt::format("wrote {}", (out / (config_.method.type == Method::Full ? "model" : "adapter")).string()));
}

void Trainer::write_trace() {
    if (!trace_) return;
    const auto file = std::filesystem::path(config_.output.dir) / "trace.json";
    trace_->write(file);
    say(fmt::format("wrote {}", file.string()));
}

int Trainer::run() {
    // Also where an earlier run ended between saving this step and validating it.
    if (done_ == 0 || validation_is_due(done_)) validate(done_);
    Progress progress(environment_.out, done_ + 1, total_steps_, config_.log.every);
    last_save_ = Clock::now();
    const InPhase training(Phase::Training);
    while (done_ < total_steps_) {
        Whereabouts::here().set_step(done_ + 1);
        const StepResult result = step(done_ + 1);
        on_rank_zero(environment_.world, std::function<void()>([&] { log_->step(result.record); }));
        if (!result.finite) {
            const std::string first = engine_->first_non_finite();
            const std::string what =
                fmt::format("step {}: the loss is {}{}", done_ + 1, spelled(result.record.loss),
                            first.empty() ? "" : fmt::format(", the gradient of '{}' (and perhaps of others) is not finite", first));
            if (config_.training.nonfinite == NonFinite::Stop) {
                fail(Failure::Diverged, "{}; the last checkpoint is kept. Lower optimizer.learning_rate, or set training.nonfinite = skip",
                     what);
            }
            ++skipped_;
            say(fmt::format("{}; no update was made ({} skipped so far)", what, skipped_));
        }
        ++done_;
        progress.step(result.record, data_->plan->epochs_done(done_));
        const Agreement now = agree();
        if (now.stop && done_ < total_steps_) {
            save(done_);
            write_trace();
            say(fmt::format("stopped on request after step {}; run again to go on", done_));
            return static_cast<int>(Failure::Stopped);
        }
        if (save_is_due(done_) || now.save) save(done_);
        if (validation_is_due(done_)) validate(done_);
    }
    if (total_steps_ > 0 && skipped_ == total_steps_)
        fail(Failure::Diverged, "every step was skipped because its loss or gradient was not finite: nothing was trained");
    save(done_);
    validate(done_);
    write_result();
    write_trace();
    report_memory();
    return 0;
}

}  // namespace tandem
