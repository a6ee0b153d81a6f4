#include <algorithm>
#include <numeric>

#include "kernels/base/error.h"
#include "src/data/batch_plan.h"

namespace tandem {

namespace {

using Indices = std::vector<std::size_t>;

/// Each of `items` (heaviest first) goes to the lightest bin that has room for one more; ties to the lower bin.
std::vector<Indices> balance(const Indices& items, std::span<const std::int64_t> costs, std::size_t bins, std::size_t capacity) {
    std::vector<Indices> result(bins);
    std::vector<std::int64_t> load(bins, 0);
    for (const auto item : items) {
        std::size_t best = bins;
        for (std::size_t bin = 0; bin < bins; ++bin) {
            if (result[bin].size() < capacity && (best == bins || load[bin] < load[best])) best = bin;
        }
        require(best < bins, "{} rows do not fit {} places of {}", items.size(), bins, capacity);
        result[best].push_back(item);
        load[best] += costs[item];
    }
    return result;
}

}  // namespace

std::vector<Indices> deal_rows(std::span<const std::int64_t> costs, std::int64_t data_ranks, std::int64_t rank,
                               std::int64_t micro_batch_size) {
    require(data_ranks >= 1 && rank >= 0 && rank < data_ranks && micro_batch_size >= 1, "rank {} of {}, micro-batches of {} rows", rank,
            data_ranks, micro_batch_size);
    const auto micro = static_cast<std::size_t>(micro_batch_size), ranks = static_cast<std::size_t>(data_ranks);
    const std::size_t micro_batches = (costs.size() + ranks * micro - 1) / (ranks * micro);

    Indices heaviest_first(costs.size());
    std::iota(heaviest_first.begin(), heaviest_first.end(), std::size_t{0});
    std::stable_sort(heaviest_first.begin(), heaviest_first.end(), [&](std::size_t a, std::size_t b) { return costs[a] > costs[b]; });
    const auto of_rank = balance(heaviest_first, costs, ranks, micro_batches * micro)[static_cast<std::size_t>(rank)];
    auto result = balance(of_rank, costs, micro_batches, micro);
    for (auto& rows : result) std::sort(rows.begin(), rows.end());
    return result;
}

}  // namespace tandem
