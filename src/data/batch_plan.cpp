#include "src/data/batch_plan.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/error.h"

namespace tandem {

namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

BatchPlan::BatchPlan(const PlanSettings& settings, std::vector<std::int32_t> lengths, std::vector<std::int32_t> trained,
                     std::int64_t global_batch_size)
    : settings_(settings), lengths_(std::move(lengths)), trained_(std::move(trained)), global_batch_size_(global_batch_size) {
    require(lengths_.size() == trained_.size(), "{} lengths and {} trained counts", lengths_.size(), trained_.size());
    require(global_batch_size_ >= 1, "a global batch of {} rows", global_batch_size_);
    if (lengths_.empty()) fail(Failure::Input, "the data has no samples");
}

const EpochPlan& BatchPlan::plan(std::int64_t epoch) const {
    if (!plan_ || plan_->epoch() != epoch) plan_.emplace(settings_, epoch, lengths_);
    return *plan_;
}

bool BatchPlan::epochs_alike() const { return settings_.packing == Packing::None || settings_.order == SampleOrder::File; }

std::int64_t BatchPlan::last_step(std::int64_t epoch) const {
    require(epoch >= 0, "epoch {}", epoch);
    const auto wanted = epochs_alike() ? std::size_t{1} : static_cast<std::size_t>(epoch) + 1;
    while (last_step_.size() < wanted) {
        const auto before = last_step_.empty() ? 0 : last_step_.back();
        last_step_.push_back(before + ceil_div(plan(static_cast<std::int64_t>(last_step_.size())).rows(), global_batch_size_));
    }
    return epochs_alike() ? (epoch + 1) * last_step_[0] : last_step_[static_cast<std::size_t>(epoch)];
}

std::int64_t BatchPlan::steps_in_epoch(std::int64_t epoch) const { return last_step(epoch) - (epoch == 0 ? 0 : last_step(epoch - 1)); }

std::int64_t BatchPlan::total_steps(double epochs) const {
    require(epochs >= 0 && std::isfinite(epochs), "{} epochs", epochs);
    const auto whole = static_cast<std::int64_t>(epochs);
    const double rest = epochs - static_cast<double>(whole);
    const auto steps = whole == 0 ? 0 : last_step(whole - 1);
    return rest > 0 ? steps + static_cast<std::int64_t>(std::ceil(rest * static_cast<double>(steps_in_epoch(whole)))) : steps;
}

BatchPlan::Batch BatchPlan::locate(std::int64_t step) const {
    require(step >= 1, "step {}: steps count from 1", step);
    std::int64_t epoch = 0;
    if (epochs_alike()) {
        epoch = (step - 1) / last_step(0);
    } else {
        while (last_step_.empty() || last_step_.back() < step) (void)last_step(static_cast<std::int64_t>(last_step_.size()));
        epoch = std::lower_bound(last_step_.begin(), last_step_.end(), step) - last_step_.begin();
    }
    const auto first = (step - 1 - (epoch == 0 ? 0 : last_step(epoch - 1))) * global_batch_size_;
    return {epoch, first, std::min(global_batch_size_, plan(epoch).rows() - first)};
}

std::vector<Row> BatchPlan::rows(std::int64_t step) const {
    const auto batch = locate(step);
    std::vector<Row> rows;
    rows.reserve(static_cast<std::size_t>(batch.rows));
    for (std::int64_t i = 0; i < batch.rows; ++i) {
        const auto samples = plan(batch.epoch).row(batch.first_row + i);
        rows.push_back({batch.epoch, {samples.begin(), samples.end()}});
    }
    return rows;
}

std::int64_t BatchPlan::sum(std::int64_t step, std::span<const std::int32_t> of_sample) const {
    const auto batch = locate(step);
    std::int64_t total = 0;
    for (std::int64_t i = 0; i < batch.rows; ++i) {
        for (const auto sample : plan(batch.epoch).row(batch.first_row + i)) total += of_sample[static_cast<std::size_t>(sample)];
    }
    return total;
}

std::int64_t BatchPlan::tokens(std::int64_t step) const { return sum(step, lengths_); }

std::int64_t BatchPlan::trained_tokens(std::int64_t step) const { return sum(step, trained_); }

double BatchPlan::epochs_done(std::int64_t step) const {
    if (step <= 0) return 0;
    const auto batch = locate(step);
    return static_cast<double>(batch.epoch) +
           static_cast<double>(batch.first_row + batch.rows) / static_cast<double>(plan(batch.epoch).rows());
}

std::vector<std::vector<Row>> BatchPlan::deal(std::int64_t step, std::int64_t data_ranks, std::int64_t rank,
                                              std::int64_t micro_batch_size) const {
    auto all = rows(step);
    std::vector<std::int64_t> costs;
    for (const auto& row : all) {
        std::int64_t tokens = 0;
        for (const auto sample : row.samples) tokens += lengths_[static_cast<std::size_t>(sample)];
        costs.push_back(tokens);
    }
    std::vector<std::vector<Row>> mine;
    for (const auto& indices : deal_rows(costs, data_ranks, rank, micro_batch_size)) {
        auto& micro_batch = mine.emplace_back();
        for (const auto i : indices) micro_batch.push_back(std::move(all[i]));
    }
    return mine;
}

}  // namespace tandem
