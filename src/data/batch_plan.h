// What each optimizer step trains on. The whole state of the data is the number of the step: resuming at step s needs nothing
// else, and any number of ranks sees the same global batches.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/data/epoch_plan.h"

namespace tandem {

/// One sequence of a batch: the samples packed into it.
struct Row {
    std::int64_t epoch = 0;
    std::vector<std::int64_t> samples;
};

/// The global batch of every step. Steps count from 1 and go through the epochs one after another; an epoch's last batch is
/// smaller where the rows do not divide. Not thread-safe: the current epoch's plan is kept between calls.
class BatchPlan {
public:
    /// `lengths` and `trained`: tokens and trained tokens of each sample (TokenFile has both). For a part of the data, such as
    /// `evaluation.max_samples`, give the first entries only. Throws Input if there is no sample.
    BatchPlan(const PlanSettings& settings, std::vector<std::int32_t> lengths, std::vector<std::int32_t> trained,
              std::int64_t global_batch_size);

    [[nodiscard]] std::int64_t steps_in_epoch(std::int64_t epoch) const;
    /// Steps of `epochs` epochs; a fraction counts as in transformers.TrainingArguments: rounded up to a whole step.
    [[nodiscard]] std::int64_t total_steps(double epochs) const;

    [[nodiscard]] std::vector<Row> rows(std::int64_t step) const;        ///< of the global batch
    [[nodiscard]] std::int64_t tokens(std::int64_t step) const;          ///< of the global batch
    [[nodiscard]] std::int64_t trained_tokens(std::int64_t step) const;  ///< of the global batch: the loss's divisor
    [[nodiscard]] double epochs_done(std::int64_t step) const;           ///< after `step` steps, for progress lines

    /// The micro-batches of one data rank at `step`. Every rank gets the same number of them (some may be empty), each of at
    /// most `micro_batch_size` rows, so that collectives match; over all ranks each row of the batch occurs once.
    [[nodiscard]] std::vector<std::vector<Row>> deal(std::int64_t step, std::int64_t data_ranks, std::int64_t rank,
                                                     std::int64_t micro_batch_size) const;

private:
    struct Batch {
        std::int64_t epoch, first_row, rows;
    };
    [[nodiscard]] Batch locate(std::int64_t step) const;
    [[nodiscard]] bool epochs_alike() const;  ///< all have the same number of rows
    [[nodiscard]] std::int64_t last_step(std::int64_t epoch) const;
    [[nodiscard]] const EpochPlan& plan(std::int64_t epoch) const;
    [[nodiscard]] std::int64_t sum(std::int64_t step, std::span<const std::int32_t> of_sample) const;

    PlanSettings settings_;
    std::vector<std::int32_t> lengths_, trained_;
    std::int64_t global_batch_size_;
    mutable std::optional<EpochPlan> plan_;
    mutable std::vector<std::int64_t> last_step_;  ///< of each epoch looked at so far; of epoch 0 only where all are alike
};

/// Which of `costs.size()` rows go to which micro-batch of `rank`: longest processing time first (Graham 1969) onto the
/// ranks, then onto a rank's micro-batches, with at most ceil(rows / (ranks x micro)) micro-batches of `micro_batch_size` rows.
[[nodiscard]] std::vector<std::vector<std::size_t>> deal_rows(std::span<const std::int64_t> costs, std::int64_t data_ranks,
                                                              std::int64_t rank, std::int64_t micro_batch_size);

}  // namespace tandem
