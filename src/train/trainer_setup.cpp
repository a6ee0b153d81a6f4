// Trainer before its first step: model, data, state, what is resumed, what is said and written about it.
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

#include <fmt/ranges.h>

#include "kernels/quant/four_bit.h"
#include "parallel/transport_check.h"
#include "src/config/load.h"
#include "src/config/units.h"
#include "src/io/files.h"
#include "src/io/model_directory.h"
#include "src/plan/library_memory.h"
#include "src/train/manifest.h"
#include "src/train/rank_zero.h"
#include "src/train/trainer.h"

namespace tandem {
namespace {

/// Found before the first step rather than after the last one.
void refuse_file_in_the_way(const std::filesystem::path& directory) {
    std::error_code ignored;
    if (std::filesystem::exists(directory, ignored) && !std::filesystem::is_directory(directory, ignored))
        fail(Failure::Configuration, "{}: exists and is not a directory; a run writes one of that name", directory.string());
}

/// Rank 0 makes output.dir; every rank must see the file that it leaves there, or checkpoints and caches would be torn apart.
/// `result` is the directory in it that the run will write at its end.
void prove_shared_directory(const std::string& directory, const char* result, Communicator& world) {
    const std::string witness =
        on_rank_zero(world, std::function<std::string()>([&] {
                         std::error_code error;
                         std::filesystem::create_directories(directory, error);
                         if (error) fail(Failure::Configuration, "output.dir = {}: cannot be made: {}", directory, error.message());
                         refuse_file_in_the_way(std::filesystem::path(directory) / "checkpoints");
                         refuse_file_in_the_way(std::filesystem::path(directory) / result);
                         // A run that was killed could not clean up after itself.
                         remove_leftovers(directory);
                         remove_leftovers(std::filesystem::path(directory) / "checkpoints");
                         const auto path = std::filesystem::path(directory) / ".tandem";
                         write_file_atomically(path, "every rank of a run must see this file\n");
                         return path.string();
                     }));
    std::array<std::int64_t, 1> blind = {std::filesystem::exists(witness) ? 0 : 1};
    world.sum(blind);
    if (blind[0] > 0)
        fail(Failure::Configuration, "output.dir = {}: {} of {} ranks do not see what rank 0 writes there; use a shared file system",
             directory, blind[0], world.size());
}

/// "nf4 in blocks of 64 with double quantisation: 210 matrices (down_proj 30, ...), 106.2 M weights in 52.2 MiB instead of 202.5 MiB"
std::string describe(const QuantizationSpec& spec, const QuantizationReport& report) {
    std::vector<std::string> modules;
    for (const auto& [module, count] : report.modules) modules.push_back(fmt::format("{} {}", module, count));
    return fmt::format("{} in blocks of {}{}: {} matrices ({}), {:.1f} M weights in {} instead of {}", name(spec.type), spec.block_size,
                       spec.double_quant ? " with double quantisation" : "", report.matrices, fmt::join(modules, ", "),
                       static_cast<double>(report.weights) / 1e6, human_bytes(report.bytes), human_bytes(report.bytes_before));
}

/// What every rank's arenas are made of. Collective.
std::vector<MemoryBytes> reserved_by_rank(const DeviceMemory& memory, Communicator& world) {
    const MemoryBytes mine = memory.reserved();
    std::vector<MemoryBytes> all;
    for (const std::string& text : world.gather(std::string(reinterpret_cast<const char*>(mine.data()), sizeof mine))) {
        require(text.size() == sizeof mine, "{} bytes gathered for {}", text.size(), sizeof mine);
        std::memcpy(all.emplace_back().data(), text.data(), text.size());
    }
    return all;
}

}  // namespace

namespace {

MemoryPlan plan_for_all_ranks(const PlanSubject& subject, const RunEnvironment& environment, const DevicePlace& place) {
    return agreed_plan(subject, plan_that_fits(subject, capacity_here(subject, environment.local_ranks, place)), environment.world);
}

}  // namespace

Trainer::Trainer(const RunConfig& config, const RunEnvironment& environment)
    : environment_(environment),
      place_(place_of_rank(config, environment.world, environment.local_rank, environment.host)),
      config_(on_device(config, place_)),
      layout_(resolve_layout(config, environment.world.size(), Purpose::Train)),
      opened_(open_model(config, config.method.type == Method::Full ? Trained::Everything : Trained::Adapter)),
      plan_(plan_for_all_ranks(subject(), environment, place_)),
      device_(make_device(config_, environment.threads, place_)),
      transport_(make_transport(config_, device_, place_, environment.world, environment.host)),
      tools_(load_text_tools(config)),
      mesh_(transport_.world ? *transport_.world : environment.world, mesh_of(layout_)),
      checkpoints_(std::filesystem::path(config.output.dir) / "checkpoints", config.checkpoint.keep) {
    require_available(plan_, environment.world, environment.local_ranks, place_.backend);
    if (transport_.world) prove_groups(*device_.backend, *device_.stream, mesh_, group_use(config_, Purpose::Train));
    card_ = require_card(subject(), stage_plan().peak(), device_.backend->free_memory(), place_, environment.world, environment.local_ranks,
                         environment.host);
    reserve(device_, stage_plan().bytes);
    const ModelPlace place{plan_.split.placement(mesh_.place()), mesh_.tensor(), config.data.max_seq_length, largest_micro_batch(config)};
    model_ = load_model(config, std::move(opened_), device_, place);
    whole_ = whole_model_table(model_.opened.description);
    prove_shared_directory(config.output.dir, config.method.type == Method::Full ? "model" : "adapter", environment.world);
    Transformer& model = *model_.transformer;
    const std::int64_t vocabulary = model.config().vocabulary;
    data_.emplace(open_training_data(config, tools_, vocabulary, environment.threads, environment.world));
    validation_ = open_validation_data(config, tools_, vocabulary, environment.threads,
                                       evaluation_rows(mesh_.sizes(), config.training.micro_batch_size), environment.world);
    outbox_ = make_outbox(*device_.memory, plan_.split, mesh_.place().pipeline, stage_plan().message);
    const EngineSettings settings{config.optimizer, plan_.split, plan_.policy, stage_plan().slots, outbox_};
    engine_ = std::make_unique<Engine>(settings, mesh_.place(), model, *device_.memory, mesh_.groups());
    fill_masters(model_, engine_->state());
    if (environment.trace) {
        const MeshIndex& at = mesh_.place();
        trace_ =
            std::make_unique<Trace>(environment.world, fmt::format("data {}, tensor {}, pipeline {}", at.data, at.tensor, at.pipeline));
        engine_->observe(trace_.get());
    }
    total_steps_ = config.training.max_steps ? *config.training.max_steps : data_->plan->total_steps(config.training.epochs);
    schedule_ = make_schedule(config, total_steps_);
    base_ = on_rank_zero(environment.world, std::function<std::string()>([&] { return fingerprint_model(config.model.path); }));
    // An adapter belongs to the weights it was trained over.
    if (const auto& quantization = model_.opened.description.quantization) base_ += " " + tag(*quantization);
    resume();
    on_rank_zero(environment.world, std::function<void()>([&] {
                     log_ = std::make_unique<RunLog>(std::filesystem::path(config.output.dir) / "log.jsonl", done_);
                 }));
    write_manifest();
    describe_run();
}

std::optional<std::filesystem::path> Trainer::find_checkpoint() const {
    const std::filesystem::path named = config_.checkpoint.resume_path;
    Communicator& world = environment_.world;
    const auto is_directory = [&] {
        return on_rank_zero(world, std::function<std::string()>([&] { return std::filesystem::is_directory(named) ? "yes" : "no"; })) ==
               "yes";
    };
    std::vector<std::string> notes;
    std::optional<std::filesystem::path> newest;
    if (config_.checkpoint.resume == Resume::Auto) {
        newest = checkpoints_.newest(world, notes);
    } else if (is_directory()) {
        newest = CheckpointStore(named / "checkpoints", config_.checkpoint.keep).newest(world, notes);
        if (!newest) fail(Failure::Configuration, "checkpoint.resume = {}: there are no checkpoints in it", named.string());
    } else {
        newest = named;
        verify_checkpoint(named, world);
    }
    for (const auto& note : notes) say("warning: " + note);
    return newest;
}

void Trainer::resume() {
    if (config_.checkpoint.resume == Resume::None) return;
    const auto found = find_checkpoint();
    if (!found) return;
    Context ctx = model_.transformer->context();
    const CheckpointHeader header = load_checkpoint(ctx, environment_.world, engine_->state(), whole_, *found, base_);
    done_ = header.step;
    skipped_ = header.skipped;
    saved_step_ = config_.checkpoint.resume == Resume::Auto ? done_ : -1;
    say(fmt::format("resumed {} after step {}", found->string(), done_));
    if (header.data != data_->prepared.file.key())
        say("warning: the training data is not what the checkpoint was made with: the order of samples starts anew");
    if (header.seed != config_.training.seed) say(fmt::format("warning: training.seed was {} in the checkpoint", header.seed));
    if (done_ > total_steps_) {
        fail(Failure::Configuration,
             "{}: has completed {} steps, but this run ends after {}; raise training.max_steps or use another output.dir", found->string(),
             done_, total_steps_);
    }
}

void Trainer::write_manifest() const {
    ManifestFacts facts;
    facts.version = environment_.version;
    facts.hosts = environment_.world.gather(environment_.host);
    facts.layout = &plan_.split;
    facts.backend = device_.backend->description();
    facts.base = base_;
    facts.data = data_->prepared.file.key();
    facts.parameters = plan_.parameters;
    facts.trained_parameters = plan_.trainable;
    facts.memory = reserved_by_rank(*device_.memory, environment_.world);
    std::array<std::int64_t, 1> host = {static_cast<std::int64_t>(engine_->host_bytes())};
    environment_.world.max(host);
    facts.host_memory = static_cast<std::size_t>(host[0]);
    facts.recompute = plan_.policy == ActivationPolicy::Recompute ? "full" : "none";
    const ModelDescription& description = model_.opened.description;
    if (description.quantization) facts.quantization = report_quantization(description, config_.model.dtype);
    facts.total_steps = total_steps_;
    facts.resumed_at = done_;
    on_rank_zero(environment_.world, std::function<void()>([&] {
                     write_json_file(std::filesystem::path(config_.output.dir) / "manifest.json", make_manifest(config_, facts));
                 }));
}

void Trainer::describe_run() const {
    const auto all = plan_.parameters, trained = plan_.trainable;
    say(fmt::format("{}: {} layers, {:.1f} M parameters, {:.2f} M trained ({:.2f} %)", config_.model.path,
                    model_.transformer->config().layers, static_cast<double>(all) / 1e6, static_cast<double>(trained) / 1e6,
                    100.0 * static_cast<double>(trained) / static_cast<double>(all)));
    if (const auto& quantization = model_.opened.description.quantization)
        say(describe(*quantization, report_quantization(model_.opened.description, config_.model.dtype)));
    say(fmt::format("{} rank(s), {}", environment_.world.size(), device_.backend->description()));
    if (!place_.note.empty()) say("warning: " + place_.note);
    if (environment_.world.size() > 1) say(describe(plan_.split));
    if (transport_.world) say("transport: " + transport_.report);
    if (!card_.empty()) say(card_);
    for (const auto& warning : model_warnings(config_.model.path)) say("warning: " + config_.model.path + ": " + warning);
    for (const auto& name : model_.opened.unused_tensors)
        say("warning: tensor '" + name + "' in the model files has no place in this model");
    if (done_ == 0 && environment_.out) {
        say(describe(data_->prepared.report, "training data"));
        if (validation_) say(describe(validation_->prepared.report, "validation data"));
    }
    say(fmt::format("{} steps of {} rows of at most {} tokens{}", total_steps_, config_.training.global_batch_size,
                    config_.data.max_seq_length, done_ > 0 ? fmt::format(", {} already done", done_) : ""));
    const char* whose = plan_.stages.size() > 1 ? "the stage that needs most" : "a rank";
    say(fmt::format("memory planned, {}: {}: {}", whose, human_bytes(plan_.peak()), describe(plan_.bytes())));
    if (plan_.host() > 0) say(fmt::format("host memory besides, {}: {} of paged optimizer states", whose, human_bytes(plan_.host())));
    if (plan_.stages.size() == 1) return;
    std::string peaks;
    for (const StagePlan& stage : plan_.stages) peaks += (peaks.empty() ? "" : ", ") + human_bytes(stage.peak());
    say("memory planned, by stage: " + peaks);
}

}  // namespace tandem
