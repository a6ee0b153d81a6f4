#include "src/train/data_source.h"

#include <algorithm>
#include <filesystem>

#include "parallel/whereabouts.h"
#include "src/io/files.h"
#include "src/io/model_directory.h"
#include "src/train/rank_zero.h"

namespace tandem {
namespace {

RecordFormat record_format(DataFormat format) {
    switch (format) {
        case DataFormat::Auto: return RecordFormat::Auto;
        case DataFormat::Text: return RecordFormat::Text;
        case DataFormat::Alpaca: return RecordFormat::Alpaca;
        case DataFormat::ShareGpt: return RecordFormat::ShareGpt;
        case DataFormat::Messages: return RecordFormat::Messages;
        case DataFormat::Tokenized: return RecordFormat::Tokenized;
    }
    return RecordFormat::Auto;
}

LengthPolicy length_policy(Overlong overlong) {
    switch (overlong) {
        case Overlong::Drop: return LengthPolicy::Drop;
        case Overlong::Cut: return LengthPolicy::Cut;
        case Overlong::Split: return LengthPolicy::Split;
    }
    return LengthPolicy::Drop;
}

/// Rank 0 makes the token file while the others wait; then every rank opens it from the cache.
Prepared prepare_on_ranks(const DataSettings& settings, const TextTools& tools, Communicator& world) {
    const Tokenizer* tokenizer = tools.tokenizer ? &*tools.tokenizer : nullptr;
    const ChatTemplate* chat_template = tools.chat_template ? &*tools.chat_template : nullptr;
    const InPhase preparing(Phase::Preparing);
    const auto progress = [](std::int64_t) { mark_progress(); };
    std::optional<Prepared> mine;
    on_rank_zero(world, std::function<void()>([&] { mine.emplace(prepare(settings, tokenizer, chat_template, progress)); }));
    if (!mine) mine.emplace(prepare(settings, tokenizer, chat_template, progress));
    return std::move(*mine);
}

}  // namespace

TextTools load_text_tools(const RunConfig& config) {
    const std::filesystem::path directory = config.model.path;
    TextTools tools;
    if (has_model_file(directory / "tokenizer.json")) tools.tokenizer = Tokenizer::load(directory);
    tools.chat_template = ChatTemplate::load(directory, config.data.chat_template);
    return tools;
}

DataSettings data_settings(const RunConfig& config, const std::vector<std::string>& files, std::int64_t vocabulary, int threads) {
    DataSettings s;
    s.files = files;
    s.format = record_format(config.data.format);
    s.train_on = config.data.train_on == TrainOn::Assistant ? LabelPolicy::Assistant : LabelPolicy::All;
    s.overlong = length_policy(config.data.overlong);
    s.max_seq_length = config.data.max_seq_length;
    s.vocabulary = vocabulary;
    s.cache = config.data.cache ? std::filesystem::path(*config.data.cache) : std::filesystem::path(config.output.dir) / "cache";
    s.threads = threads;
    return s;
}

PlanSettings plan_settings(const RunConfig& config) {
    return {.seed = config.training.seed,
            .max_seq_length = config.data.max_seq_length,
            .packing = config.data.packing ? Packing::Rows : Packing::None,
            .order = config.data.shuffle ? SampleOrder::Shuffled : SampleOrder::File};
}

DataSource open_training_data(const RunConfig& config, const TextTools& tools, std::int64_t vocabulary, int threads, Communicator& world) {
    DataSource source{prepare_on_ranks(data_settings(config, config.data.train, vocabulary, threads), tools, world), nullptr};
    const TokenFile& file = source.prepared.file;
    source.plan = std::make_unique<BatchPlan>(plan_settings(config), file.lengths(), file.trained(), config.training.global_batch_size);
    return source;
}

std::optional<DataSource> open_validation_data(const RunConfig& config, const TextTools& tools, std::int64_t vocabulary, int threads,
                                               std::int64_t rows_at_once, Communicator& world) {
    if (config.data.validation.empty()) return std::nullopt;
    DataSource source{prepare_on_ranks(data_settings(config, config.data.validation, vocabulary, threads), tools, world), nullptr};
    auto lengths = source.prepared.file.lengths(), trained = source.prepared.file.trained();
    if (config.evaluation.max_samples) {
        const auto count = std::min(lengths.size(), static_cast<std::size_t>(*config.evaluation.max_samples));
        lengths.resize(count);
        trained.resize(count);
    }
    PlanSettings settings = plan_settings(config);
    settings.order = SampleOrder::File;
    source.plan = std::make_unique<BatchPlan>(settings, std::move(lengths), std::move(trained), rows_at_once);
    return source;
}

}  // namespace tandem
