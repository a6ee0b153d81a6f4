// [offload] [parallel] [checkpoint] [output] [device] [watchdog]
#include "src/config/option_builder.h"

namespace tandem {
namespace {

void add_parallel(std::vector<Option>& table) {
    SectionRows<ParallelSection> parallel("parallel", &RunConfig::parallel, table);
    const Range ranks{1, 1e6};
    parallel.integer("data", &ParallelSection::data, ranks, "all",
                     "ranks that share a step's batch; all: whatever tensor and pipeline leave over");
    parallel.integer("tensor", &ParallelSection::tensor, ranks, "ranks that share every layer");
    parallel.integer("pipeline", &ParallelSection::pipeline, ranks, "ranks that hold different layers");
    parallel.integer("zero", &ParallelSection::zero, {0, 3}, "what data-parallel ranks share out (ZeRO level); the result is the same");
    parallel.choice("schedule", &ParallelSection::schedule,
                    Words<PipelineSchedule>{{"auto", PipelineSchedule::Auto},
                                            {"gpipe", PipelineSchedule::GPipe},
                                            {"1f1b", PipelineSchedule::OneFOneB},
                                            {"interleaved", PipelineSchedule::Interleaved},
                                            {"zb-h1", PipelineSchedule::ZbH1}},
                    "order of forward and backward passes in a pipeline");
    parallel.integer("chunks", &ParallelSection::chunks, ranks, "groups of layers each pipeline rank holds (interleaved)");
    parallel.row(
        "layers", &ParallelSection::layers, "whole numbers, comma-separated, or auto", "auto",
        "layers each pipeline stage holds, such as 20,12 for unequal cards",
        [](std::string_view text) {
            std::vector<std::int64_t> layers;
            if (text == "auto") return layers;
            try {
                for (const auto& entry : parse_list(text)) layers.push_back(parse_integer(entry, {1, 1e6}));
            } catch (const BadValue&) {
                throw BadValue("auto, or the number of layers of each part, from 1, comma-separated");
            }
            return layers;
        },
        [](const std::vector<std::int64_t>& layers) { return layers.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(layers); });
    parallel.choice(
        "transport", &ParallelSection::transport,
        Words<Transport>{{"auto", Transport::Auto}, {"nccl", Transport::Nccl}, {"staged", Transport::Staged}},
        "how GPUs exchange data; auto: by NCCL where each rank has a GPU of its own and it works, else staged, through host memory");
}

/// checkpoint.resume is one key and two fields: a mode, or a path.
Option resume() {
    Option option;
    option.key = "checkpoint.resume";
    option.values = "auto, none or a path";
    option.default_text = "auto";
    option.help = "auto: go on from the newest complete checkpoint under output.dir, if there is one";
    option.set = [](RunConfig& config, std::string_view text) {
        config.checkpoint.resume = text == "auto" ? Resume::Auto : text == "none" ? Resume::None : Resume::Path;
        config.checkpoint.resume_path = config.checkpoint.resume == Resume::Path ? std::string(text) : std::string();
    };
    option.get = [](const RunConfig& config) -> nlohmann::ordered_json {
        if (config.checkpoint.resume == Resume::Path) return config.checkpoint.resume_path;
        return config.checkpoint.resume == Resume::Auto ? "auto" : "none";
    };
    return option;
}

void add_output(std::vector<Option>& table) {
    SectionRows<CheckpointSection> checkpoint("checkpoint", &RunConfig::checkpoint, table);
    checkpoint.integer("every", &CheckpointSection::every, at_least(0),
                       "steps between checkpoints; 0: at the end only (and by checkpoint.minutes)");
    checkpoint.real("minutes", &CheckpointSection::minutes, {0, 1e6},
                    "minutes between checkpoints, besides checkpoint.every; 0: never by time");
    checkpoint.integer("keep", &CheckpointSection::keep, {1, 1e6}, "how many of the newest checkpoints stay");
    table.push_back(resume());

    SectionRows<OutputSection> output("output", &RunConfig::output, table);
    output.text("dir", &OutputSection::dir, "a directory", "everything a run writes is under it; made where missing");
    // `model` stands for no type of its own.
    const Words<std::optional<DType>> types{{"model", std::nullopt}, {"bf16", DType::BF16}, {"fp32", DType::F32}, {"fp16", DType::F16}};
    output.row(
        "dtype", &OutputSection::dtype, enumerated(spellings(types)), "model", "type of model/ (method.type = full); model: as model.dtype",
        [types](std::string_view text) { return parse_word(text, types); },
        [](const std::optional<DType>& type) {
            return type ? nlohmann::ordered_json(std::string(name(*type))) : nlohmann::ordered_json();
        });
}

}  // namespace

void add_run_options(std::vector<Option>& table) {
    SectionRows<OffloadSection> offload("offload", &RunConfig::offload, table);
    const Words<Offload> places{{"none", Offload::None}, {"host", Offload::Host}};
    offload.choice("weights", &OffloadSection::weights, places, "host: frozen weights live in host memory and are fetched ahead of use");
    offload.choice("optimizer", &OffloadSection::optimizer, places, "host: optimizer states live in host memory");
    offload.choice("activations", &OffloadSection::activations, places, "host: saved layer inputs live in host memory");

    add_parallel(table);
    add_output(table);

    SectionRows<DeviceSection> device("device", &RunConfig::device, table);
    device.choice(
        "backend", &DeviceSection::backend,
        Words<DeviceBackend>{
            {"auto", DeviceBackend::Auto}, {"cpu", DeviceBackend::Cpu}, {"cuda", DeviceBackend::Cuda}, {"ref", DeviceBackend::Ref}},
        "where to compute; ref is the slow plain-loop definition of every operation, for checks");
    device.choice(
        "attention", &DeviceSection::attention,
        Words<AttentionKernels>{{"auto", AttentionKernels::Auto}, {"own", AttentionKernels::Own}, {"cudnn", AttentionKernels::Cudnn}},
        "whose attention a GPU computes; auto: cudnn on sm_90 where cuDNN is found, else own; cudnn: cuDNN's forward pass where it takes "
        "the case, after a check against own kernels");
    device.optional("memory_limit", &DeviceSection::memory_limit, "bytes with a unit, such as 24GiB", "all",
                    "memory each rank may take, as on a card of that size", parse_bytes);
    device.integer("threads", &DeviceSection::threads, {1, 65536}, "auto",
                   "threads of each rank; auto: its share of the processors it may use");
    device.choice(
        "graphs", &DeviceSection::graphs, Words<bool>{{"off", false}, {"on", true}},
        "on: with device.backend = cuda, work that repeats is handed to the GPU as graphs, many calls as one; the result is the same");

    SectionRows<WatchdogSection> watchdog("watchdog", &RunConfig::watchdog, table);
    watchdog.optional(
        "deadline", &WatchdogSection::deadline, "seconds", "auto",
        "how long a rank may take for one instruction before the job is ended; auto: 10 times the slowest so far, 20 s at least",
        parse_seconds);
}

}  // namespace tandem
