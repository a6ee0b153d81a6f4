#include "src/data/epoch_plan.h"

#include <numeric>

#include "kernels/base/error.h"
#include "src/data/permutation.h"

namespace tandem {

namespace {

/// First-fit over a window of the newest rows. A row leaves the window when it is full or too old.
class OpenRows {
public:
    OpenRows(std::size_t window, std::int64_t capacity) : window_(window), capacity_(capacity) {}

    /// The row that takes `length` more tokens.
    std::int64_t place(std::int64_t length) {
        for (std::size_t i = 0; i < open_.size(); ++i) {
            if (open_[i].free < length) continue;
            const auto row = open_[i].row;
            open_[i].free -= length;
            if (open_[i].free == 0) open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i));
            return row;
        }
        if (open_.size() == window_) open_.erase(open_.begin());
        if (length < capacity_) open_.push_back({rows_, capacity_ - length});
        return rows_++;
    }

    [[nodiscard]] std::int64_t rows() const { return rows_; }

private:
    struct Open {
        std::int64_t row, free;
    };
    std::size_t window_;
    std::int64_t capacity_;
    std::int64_t rows_ = 0;
    std::vector<Open> open_;  // oldest first
};

}  // namespace

EpochPlan::EpochPlan(const PlanSettings& settings, std::int64_t epoch, std::span<const std::int32_t> lengths) : epoch_(epoch) {
    const auto n = static_cast<std::int64_t>(lengths.size());
    for (const auto length : lengths) {
        require(length >= 1 && length <= settings.max_seq_length, "a sample of {} tokens in rows of {}", length, settings.max_seq_length);
    }
    samples_.resize(lengths.size());
    if (settings.order == SampleOrder::Shuffled) {
        const KeyedPermutation order(n, settings.seed, static_cast<std::uint64_t>(epoch));
        for (std::int64_t i = 0; i < n; ++i) samples_[static_cast<std::size_t>(i)] = order(i);
    } else {
        std::iota(samples_.begin(), samples_.end(), std::int64_t{0});
    }
    if (settings.packing == Packing::Rows) {
        pack(settings, lengths);
    } else {
        row_begin_.resize(lengths.size() + 1);
        std::iota(row_begin_.begin(), row_begin_.end(), std::int64_t{0});
    }
}

void EpochPlan::pack(const PlanSettings& settings, std::span<const std::int32_t> lengths) {
    // Next-fit is first-fit with a window of one row.
    OpenRows open(settings.order == SampleOrder::Shuffled ? kOpenRows : 1, settings.max_seq_length);
    std::vector<std::int64_t> row_of(samples_.size());
    for (std::size_t i = 0; i < samples_.size(); ++i) row_of[i] = open.place(lengths[static_cast<std::size_t>(samples_[i])]);

    // Counting sort by row; within a row the order of samples stays.
    row_begin_.assign(static_cast<std::size_t>(open.rows()) + 1, 0);
    for (const auto row : row_of) ++row_begin_[static_cast<std::size_t>(row) + 1];
    std::partial_sum(row_begin_.begin(), row_begin_.end(), row_begin_.begin());
    auto next = row_begin_;
    std::vector<std::int64_t> sorted(samples_.size());
    for (std::size_t i = 0; i < samples_.size(); ++i) {
        sorted[static_cast<std::size_t>(next[static_cast<std::size_t>(row_of[i])]++)] = samples_[i];
    }
    samples_ = std::move(sorted);
}

std::span<const std::int64_t> EpochPlan::row(std::int64_t i) const {
    require(i >= 0 && i < rows(), "row {} of {}", i, rows());
    const auto first = row_begin_[static_cast<std::size_t>(i)], last = row_begin_[static_cast<std::size_t>(i) + 1];
    return std::span(samples_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first));
}

}  // namespace tandem
