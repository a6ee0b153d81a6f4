// The run's data: from the configuration to micro-batches of this rank.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "src/config/run_config.h"
#include "src/data/batch_plan.h"
#include "src/data/micro_batch.h"
#include "src/data/prepare.h"

namespace tandem {

/// Tokenizer and chat template of model.path (or data.chat_template); absent where the directory has none.
struct TextTools {
    std::optional<Tokenizer> tokenizer;
    std::optional<ChatTemplate> chat_template;
};
TextTools load_text_tools(const RunConfig& config);

/// data.* as src/data takes it. `vocabulary` of the model; `threads` of this process.
DataSettings data_settings(const RunConfig& config, const std::vector<std::string>& files, std::int64_t vocabulary, int threads);
PlanSettings plan_settings(const RunConfig& config);

/// Prepared samples and the order in which they are trained or evaluated.
struct DataSource {
    Prepared prepared;
    std::unique_ptr<BatchPlan> plan;
};

/// Prepares on rank 0 (a cache hit costs nothing), then opens on every rank. Collective.
DataSource open_training_data(const RunConfig& config, const TextTools& tools, std::int64_t vocabulary, int threads, Communicator& world);
/// The same for data.validation: in file order, at most evaluation.max_samples, `rows_at_once` rows a batch. Nothing without
/// data.validation.
std::optional<DataSource> open_validation_data(const RunConfig& config, const TextTools& tools, std::int64_t vocabulary, int threads,
                                               std::int64_t rows_at_once, Communicator& world);

}  // namespace tandem
