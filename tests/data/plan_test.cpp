// Sample order, packing, batches and dealing: properties that hold for every data set, and two orders written down.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "kernels/base/error.h"
#include "src/data/batch_plan.h"
#include "src/data/permutation.h"

namespace tandem {
namespace {

/// Lengths between 1 and `longest`, mostly short, always the same.
std::vector<std::int32_t> lengths_of(std::int64_t n, std::int32_t longest) {
    std::vector<std::int32_t> lengths;
    std::uint64_t x = 12345;
    for (std::int64_t i = 0; i < n; ++i) {
        x = x * 6364136223846793005U + 1442695040888963407U;
        const auto u = static_cast<double>(x >> 40U) * 0x1p-24;
        lengths.push_back(1 + static_cast<std::int32_t>(u * u * u * static_cast<double>(longest - 1)));
    }
    return lengths;
}

std::vector<std::int64_t> order_of(std::int64_t n, std::uint64_t seed, std::uint64_t stream) {
    const KeyedPermutation permutation(n, seed, stream);
    std::vector<std::int64_t> order;
    for (std::int64_t i = 0; i < n; ++i) order.push_back(permutation(i));
    return order;
}

TEST(KeyedPermutation, IsBijective) {
    for (const std::int64_t n : {0, 1, 2, 3, 5, 17, 64, 65, 1000, 4097}) {
        auto order = order_of(n, 42, 0);
        std::sort(order.begin(), order.end());
        std::vector<std::int64_t> all(static_cast<std::size_t>(n));
        std::iota(all.begin(), all.end(), std::int64_t{0});
        EXPECT_EQ(order, all) << "n = " << n;
    }
}

TEST(KeyedPermutation, DependsOnSeedAndStreamOnly) {
    EXPECT_EQ(order_of(1000, 42, 3), order_of(1000, 42, 3));
    EXPECT_NE(order_of(1000, 42, 3), order_of(1000, 42, 4));
    EXPECT_NE(order_of(1000, 42, 3), order_of(1000, 43, 3));
}

// What a checkpoint's step number means must not change from one release to the next.
TEST(KeyedPermutation, StaysAsItIs) { EXPECT_EQ(order_of(10, 42, 0), (std::vector<std::int64_t>{9, 0, 6, 3, 4, 2, 5, 8, 1, 7})); }

TEST(KeyedPermutation, EveryPlaceIsEquallyLikely) {
    constexpr int kElements = 10, kOrders = 20000;
    std::array<std::array<int, kElements>, kElements> seen{};
    for (int stream = 0; stream < kOrders; ++stream) {
        const KeyedPermutation permutation(kElements, 7, static_cast<std::uint64_t>(stream));
        for (std::size_t i = 0; i < kElements; ++i) ++seen[i][static_cast<std::size_t>(permutation(static_cast<std::int64_t>(i)))];
    }
    // 2000 expected in each of 100 cells, standard deviation 42.
    for (const auto& place : seen) {
        for (const int count : place) EXPECT_NEAR(count, kOrders / kElements, 250);
    }
}

class EpochPlans : public testing::TestWithParam<std::tuple<int, Packing, SampleOrder>> {};

TEST_P(EpochPlans, HaveEverySampleOnceAndNoRowTooLong) {
    const auto [n, packing, order] = GetParam();
    const auto lengths = lengths_of(n, 128);
    const EpochPlan plan({.seed = 42, .max_seq_length = 128, .packing = packing, .order = order}, 1, lengths);
    std::vector<std::int64_t> seen;
    for (std::int64_t i = 0; i < plan.rows(); ++i) {
        const auto row = plan.row(i);
        EXPECT_FALSE(row.empty());
        std::int64_t tokens = 0;
        for (const auto sample : row) tokens += lengths[static_cast<std::size_t>(sample)];
        EXPECT_LE(tokens, 128);
        if (packing == Packing::None) {
            EXPECT_EQ(row.size(), 1U);
        }
        seen.insert(seen.end(), row.begin(), row.end());
    }
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(n));
    if (order == SampleOrder::File) {
        EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
}

INSTANTIATE_TEST_SUITE_P(Sizes, EpochPlans,
                         testing::Combine(testing::Values(0, 1, 2, 17, 1000), testing::Values(Packing::None, Packing::Rows),
                                          testing::Values(SampleOrder::File, SampleOrder::Shuffled)));

TEST(EpochPlan, PacksTightly) {
    const auto lengths = lengths_of(5000, 512);
    const auto tokens = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
    const EpochPlan plan({.max_seq_length = 1024}, 0, lengths);
    EXPECT_LE(plan.rows(), tokens / 1024 * 103 / 100 + 2);
}

TEST(EpochPlan, FillsRowsFirstFit) {
    const std::vector<std::int32_t> lengths = {6, 5, 4, 5, 10, 1};
    const EpochPlan plan({.max_seq_length = 10, .order = SampleOrder::File}, 0, lengths);
    ASSERT_EQ(plan.rows(), 5);  // next-fit: 6 | 5 4 | 5 | 10 | 1
    EXPECT_EQ(plan.row(1).size(), 2U);
}

TEST(EpochPlan, RefusesSamplesThatDoNotFit) {
    EXPECT_THROW(EpochPlan({.max_seq_length = 4}, 0, std::vector<std::int32_t>{3, 5}), Error);
    EXPECT_THROW(EpochPlan({.max_seq_length = 4}, 0, std::vector<std::int32_t>{0}), Error);
}

BatchPlan plan_of(std::int64_t n, std::int64_t global_batch_size, Packing packing = Packing::Rows) {
    auto lengths = lengths_of(n, 100);
    auto trained = lengths;
    for (auto& count : trained) count = (count + 1) / 2;
    return {{.seed = 1, .max_seq_length = 100, .packing = packing}, std::move(lengths), std::move(trained), global_batch_size};
}

TEST(BatchPlan, EveryEpochHasEverySampleOnce) {
    const auto plan = plan_of(300, 8);
    std::int64_t step = 1;
    for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
        std::set<std::int64_t> seen;
        std::int64_t tokens = 0, trained = 0;
        for (std::int64_t i = 0; i < plan.steps_in_epoch(epoch); ++i, ++step) {
            const auto rows = plan.rows(step);
            EXPECT_TRUE(rows.size() == 8 || i + 1 == plan.steps_in_epoch(epoch));
            tokens += plan.tokens(step);
            trained += plan.trained_tokens(step);
            for (const auto& row : rows) {
                EXPECT_EQ(row.epoch, epoch);
                for (const auto sample : row.samples) EXPECT_TRUE(seen.insert(sample).second);
            }
        }
        const auto lengths = lengths_of(300, 100);
        std::int64_t all = 0, half = 0;
        for (const auto length : lengths) all += length, half += (length + 1) / 2;
        EXPECT_EQ(seen.size(), 300U);
        EXPECT_EQ(tokens, all);
        EXPECT_EQ(trained, half);
        EXPECT_DOUBLE_EQ(plan.epochs_done(step - 1), static_cast<double>(epoch + 1));
    }
    EXPECT_EQ(plan.total_steps(4), step - 1);
}

TEST(BatchPlan, AStepIsTheSameFromWhicheverStepOneComes) {
    const auto forward = plan_of(100, 4);
    std::map<std::int64_t, std::vector<std::int64_t>> samples;
    for (std::int64_t step = 1; step <= 60; ++step) {
        for (const auto& row : forward.rows(step)) samples[step].insert(samples[step].end(), row.samples.begin(), row.samples.end());
    }
    for (const std::int64_t step : {60, 1, 37, 36, 59, 2}) {
        const auto fresh = plan_of(100, 4);
        std::vector<std::int64_t> again;
        for (const auto& row : fresh.rows(step)) again.insert(again.end(), row.samples.begin(), row.samples.end());
        EXPECT_EQ(again, samples[step]) << "step " << step;
    }
}

TEST(BatchPlan, CountsFractionsOfEpochsAsTransformersDoes) {
    const auto plan = plan_of(10, 4, Packing::None);  // 4, 4, 2
    EXPECT_EQ(plan.steps_in_epoch(0), 3);
    EXPECT_EQ(plan.rows(3).size(), 2U);
    EXPECT_EQ(plan.total_steps(1), 3);
    EXPECT_EQ(plan.total_steps(0.5), 2);
    EXPECT_EQ(plan.total_steps(2.1), 7);
    EXPECT_EQ(plan.rows(1'000'000'000).size(), 4U);
}

TEST(BatchPlan, RefusesNoSamplesAsInput) {
    try {
        (void)plan_of(0, 4);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.failure(), Failure::Input);
    }
}

class Deals : public testing::TestWithParam<Packing> {};  // packed rows are alike, single samples are not

TEST_P(Deals, CoverTheBatchForEveryNumberOfRanks) {
    const auto plan = plan_of(200, 16, GetParam());
    for (std::int64_t step = 1; step <= plan.total_steps(1); ++step) {
        std::multiset<std::vector<std::int64_t>> batch;
        for (const auto& row : plan.rows(step)) batch.insert(row.samples);
        for (std::int64_t ranks = 1; ranks <= 8; ++ranks) {
            for (const std::int64_t micro : {1, 2, 3, 4, 16}) {
                std::multiset<std::vector<std::int64_t>> dealt;
                std::set<std::size_t> micro_batches;
                for (std::int64_t rank = 0; rank < ranks; ++rank) {
                    const auto mine = plan.deal(step, ranks, rank, micro);
                    micro_batches.insert(mine.size());
                    for (const auto& rows : mine) {
                        EXPECT_LE(rows.size(), static_cast<std::size_t>(micro));
                        for (const auto& row : rows) dealt.insert(row.samples);
                    }
                }
                EXPECT_EQ(dealt, batch) << "ranks " << ranks << ", micro " << micro << ", step " << step;
                EXPECT_EQ(micro_batches.size(), 1U) << "ranks have different numbers of micro-batches";
                const auto per_step = static_cast<std::size_t>(ranks * micro);
                EXPECT_EQ(*micro_batches.begin(), (batch.size() + per_step - 1) / per_step);
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Packings, Deals, testing::Values(Packing::None, Packing::Rows));

TEST(Deal, BalancesTokens) {
    const std::vector<std::int64_t> costs = {100, 10, 10, 10, 90, 20, 10, 50};
    std::array<std::int64_t, 2> load{};
    for (std::size_t rank = 0; rank < 2; ++rank) {
        for (const auto& rows : deal_rows(costs, 2, static_cast<std::int64_t>(rank), 2)) {
            for (const auto i : rows) load[rank] += costs[i];
        }
    }
    EXPECT_LE(std::abs(load[0] - load[1]), 20);
}

}  // namespace
}  // namespace tandem
