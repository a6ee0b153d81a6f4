// Everything a run is told, checked and typed. Structs are named as the configuration's sections, fields as its keys; the
// meaning, allowed values and defaults of every key are in one table (option_table.h), which docs/configuration.md is made from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/attention_kernels.h"
#include "kernels/base/dtype.h"
#include "kernels/ops/four_bit_matrix.h"

namespace tandem {

enum class ModelInit : std::uint8_t { Pretrained, Random };
enum class Method : std::uint8_t { Lora, Full, QLora };
enum class DataFormat : std::uint8_t { Auto, Text, Alpaca, ShareGpt, Messages, Tokenized };
enum class TrainOn : std::uint8_t { Assistant, All };
enum class Overlong : std::uint8_t { Drop, Cut, Split };
enum class NonFinite : std::uint8_t { Stop, Skip };
enum class Recompute : std::uint8_t { Auto, None, Full };
enum class Offload : std::uint8_t { None, Host };
enum class OptimizerName : std::uint8_t { AdamW, AdamW8bit, PagedAdamW8bit, Sgd };
enum class ScheduleType : std::uint8_t { Cosine, Linear, Constant };
enum class PipelineSchedule : std::uint8_t { Auto, GPipe, OneFOneB, Interleaved, ZbH1 };
enum class Transport : std::uint8_t { Auto, Nccl, Staged };  ///< between GPUs
enum class Resume : std::uint8_t { Auto, None, Path };
enum class DeviceBackend : std::uint8_t { Auto, Cpu, Cuda, Ref };

struct ModelSection {
    std::string path;
    ModelInit init = ModelInit::Pretrained;
    DType dtype = DType::BF16;
};

struct MethodSection {
    Method type = Method::Lora;
};

struct LoraSection {
    std::int64_t r = 16;
    double alpha = 32;
    double dropout = 0;
    std::vector<std::string> target_modules = {"all-linear"};
    bool rslora = false;
    std::optional<std::string> adapter;  ///< start from this PEFT adapter directory
};

struct QuantizationSection {
    FourBit type = FourBit::NF4;
    bool double_quant = true;
    std::int64_t block_size = 64;           ///< elements
    std::vector<std::string> skip_modules;  ///< linear layers that are not quantised
};

struct DataSection {
    std::vector<std::string> train;       ///< files or globs, in the order given
    std::vector<std::string> validation;  ///< likewise; empty: no validation
    DataFormat format = DataFormat::Auto;
    std::int64_t max_seq_length = 1024;  ///< tokens
    bool packing = true;
    bool shuffle = true;
    std::optional<std::string> chat_template;  ///< a Jinja file; absent: the model's
    TrainOn train_on = TrainOn::Assistant;
    std::optional<std::string> cache;  ///< directory; absent: under output.dir
    Overlong overlong = Overlong::Drop;
};

struct TrainingSection {
    std::optional<std::int64_t> max_steps;  ///< wins over epochs
    double epochs = 1;
    std::int64_t global_batch_size = 16;  ///< sequences (packed rows with packing) of one optimizer step, over all ranks
    std::int64_t micro_batch_size = 1;    ///< sequences of one forward pass of one rank
    std::uint64_t seed = 42;
    NonFinite nonfinite = NonFinite::Stop;
    Recompute recompute = Recompute::Auto;
};

struct EvaluationSection {
    std::int64_t every = 0;                   ///< steps; 0: at the start and at the end only
    std::optional<std::int64_t> max_samples;  ///< absent: all
};

struct LogSection {
    std::int64_t every = 1;  ///< steps between progress lines (log.jsonl has every step)
};

struct OffloadSection {
    Offload weights = Offload::None;
    Offload optimizer = Offload::None;
    Offload activations = Offload::None;
};

struct OptimizerSection {
    OptimizerName name = OptimizerName::AdamW;
    double learning_rate = 2e-4;
    double weight_decay = 0;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double max_grad_norm = 1.0;    ///< 0: no clipping
    bool no_decay_norms = false;   ///< optimizer.no_decay contains `norms`
    bool no_decay_biases = false;  ///< optimizer.no_decay contains `biases`
};

struct ScheduleSection {
    ScheduleType type = ScheduleType::Cosine;
    std::int64_t warmup_steps = 0;       ///< wins over warmup_ratio where it is above 0, as in transformers
    std::optional<double> warmup_ratio;  ///< of all steps, rounded up
    double min_lr_ratio = 0;
};

struct ParallelSection {
    std::optional<std::int64_t> data;  ///< absent: all ranks that tensor and pipeline leave over
    std::int64_t tensor = 1;
    std::int64_t pipeline = 1;
    std::int64_t zero = 2;
    PipelineSchedule schedule = PipelineSchedule::Auto;
    std::int64_t chunks = 1;
    std::vector<std::int64_t> layers;  ///< layers of each stage; empty: auto
    Transport transport = Transport::Auto;
};

struct CheckpointSection {
    std::int64_t every = 0;  ///< steps; 0: at the end only (and every `minutes`)
    double minutes = 30;     ///< 0: never by time
    std::int64_t keep = 2;
    Resume resume = Resume::Auto;
    std::string resume_path;  ///< with Resume::Path: a checkpoint file or the output.dir that holds some
};

struct OutputSection {
    std::string dir;             ///< empty only where the subcommand does not need it
    std::optional<DType> dtype;  ///< absent: model.dtype
};

struct DeviceSection {
    DeviceBackend backend = DeviceBackend::Auto;
    std::optional<std::uint64_t> memory_limit;  ///< bytes a rank
    std::optional<std::int64_t> threads;        ///< absent: the affinity's share
    AttentionKernels attention = AttentionKernels::Auto;
    bool graphs = false;  ///< with Cuda: repeated work as CUDA graphs
};

struct WatchdogSection {
    std::optional<double> deadline;  ///< seconds; absent: auto
};

/// Where a value comes from: "default", "run.ini:12" or "command line".
struct Origin {
    std::string key;
    std::string origin;
};

struct RunConfig {
    ModelSection model;
    MethodSection method;
    LoraSection lora;
    QuantizationSection quantization;
    DataSection data;
    TrainingSection training;
    EvaluationSection evaluation;
    LogSection log;
    OffloadSection offload;
    OptimizerSection optimizer;
    ScheduleSection schedule;
    ParallelSection parallel;
    CheckpointSection checkpoint;
    OutputSection output;
    DeviceSection device;
    WatchdogSection watchdog;
    std::vector<Origin> origins;  ///< of the keys that were given, in the order given

    /// Was `section.key` given in the file or on the command line?
    [[nodiscard]] bool given(std::string_view key) const;
    /// "default", "run.ini:12" or "command line": for messages about a key's value.
    [[nodiscard]] std::string origin(std::string_view key) const;
};

}  // namespace tandem
