// Which samples share a row, and in which order rows are trained in one epoch. Knows nothing of ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tandem {

enum class SampleOrder : std::uint8_t {
    File,      ///< as in the data files
    Shuffled,  ///< another random order every epoch
};

enum class Packing : std::uint8_t {
    None,  ///< one sample a row
    Rows,  ///< whole samples side by side in rows of at most max_seq_length tokens
};

struct PlanSettings {
    std::uint64_t seed = 42;
    std::int64_t max_seq_length = 1024;  ///< tokens of a row
    Packing packing = Packing::Rows;
    SampleOrder order = SampleOrder::Shuffled;
};

/// The rows of one epoch: every sample exactly once, none split. A pure function of its arguments.
/// Shuffled samples are packed first-fit among the newest kOpenRows rows, so that an epoch is read in one pass and a row's
/// samples lie near one another in the order; samples in file order are packed next-fit, which keeps the order.
class EpochPlan {
public:
    static constexpr std::size_t kOpenRows = 256;

    /// `lengths`: tokens of each sample, each in [1, max_seq_length].
    EpochPlan(const PlanSettings& settings, std::int64_t epoch, std::span<const std::int32_t> lengths);

    [[nodiscard]] std::int64_t epoch() const { return epoch_; }
    [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(row_begin_.size()) - 1; }
    /// Sample indices of row `i`, in the order in which they lie in the row.
    [[nodiscard]] std::span<const std::int64_t> row(std::int64_t i) const;

private:
    void pack(const PlanSettings& settings, std::span<const std::int32_t> lengths);

    std::int64_t epoch_;
    std::vector<std::int64_t> samples_;          ///< row after row
    std::vector<std::int64_t> row_begin_ = {0};  ///< [rows + 1], into samples_
};

}  // namespace tandem
