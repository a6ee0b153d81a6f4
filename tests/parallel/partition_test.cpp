// How a model's units are cut into parts.
#include "parallel/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "kernels/base/philox.h"

namespace {

using namespace tandem;
using Parts = std::vector<UnitRange>;

/// Layers in each part.
std::vector<int> layers_of(const Parts& parts) {
    std::vector<int> layers;
    for (const UnitRange& part : parts) layers.push_back(part.count());
    --layers.front();
    --layers.back();
    return layers;
}

Parts cut(const std::vector<double>& seconds, int parts) {
    return balanced_parts(seconds, std::vector<double>(seconds.size(), 0.0), parts);
}

std::vector<double> model(std::size_t layers, double layer, double head) {
    std::vector<double> seconds(layers + 2, layer);
    seconds.front() = 0.0;
    seconds.back() = head;
    return seconds;
}

double sum(const std::vector<double>& x, const UnitRange& range) {
    double total = 0.0;
    for (int u = range.last - 1; u >= range.first; --u) total += x[static_cast<std::size_t>(u)];
    return total;
}

/// What is minimised, first to last.
auto cost(const Parts& parts, const std::vector<double>& seconds, const std::vector<double>& bytes, double capacity) {
    int over = 0;
    std::vector<double> times;
    for (const UnitRange& part : parts) {
        over += sum(bytes, part) > capacity;
        times.push_back(sum(seconds, part));
    }
    auto slowest_first = times;
    std::sort(slowest_first.rbegin(), slowest_first.rend());
    return std::tuple(over, slowest_first, times);
}

/// Every way to cut: the ends of all parts but the last, ascending, as a mask of units.
Parts brute_force(const std::vector<double>& seconds, const std::vector<double>& bytes, int parts, double capacity) {
    const int units = static_cast<int>(seconds.size());
    Parts best;
    for (unsigned mask = 0; mask < 1U << static_cast<unsigned>(units); ++mask) {
        Parts candidate{{0, 0}};
        for (int u = 2; u <= units - 2; ++u) {  // a cut between the embedding and the first layer is none, nor is one before the head
            if ((mask >> static_cast<unsigned>(u) & 1U) == 0) continue;
            candidate.back().last = u;
            candidate.push_back({u, 0});
        }
        candidate.back().last = units;
        if (static_cast<int>(candidate.size()) != parts) continue;
        if (best.empty() || cost(candidate, seconds, bytes, capacity) < cost(best, seconds, bytes, capacity)) best = candidate;
    }
    return best;
}

TEST(Partition, LayersAreSharedEvenlyAndEarlierPartsAreTheSmaller) {
    EXPECT_EQ(cut(model(8, 1, 0), 4), (Parts{{0, 3}, {3, 5}, {5, 7}, {7, 10}}));
    EXPECT_EQ(layers_of(cut(model(5, 1, 0), 2)), (std::vector<int>{2, 3}));
    EXPECT_EQ(layers_of(cut(model(7, 1, 0), 3)), (std::vector<int>{2, 2, 3}));
    EXPECT_EQ(cut(model(3, 1, 1), 1), (Parts{{0, 5}}));
    EXPECT_EQ(layers_of(cut(model(3, 1, 100), 3)), (std::vector<int>{1, 1, 1}));
}

TEST(Partition, AHeavyHeadLeavesTheLastPartFewerLayers) {
    EXPECT_EQ(layers_of(cut(model(10, 1, 2), 4)), (std::vector<int>{3, 3, 3, 1}));
    EXPECT_EQ(layers_of(cut(model(12, 1, 8), 2)), (std::vector<int>{10, 2}));
    // A head that costs more than all layers: the other parts still get no more than their share.
    EXPECT_EQ(layers_of(cut(model(7, 1, 50), 3)), (std::vector<int>{3, 3, 1}));
}

TEST(Partition, PartsThatDoNotFitAreAvoided) {
    const std::vector<double> seconds = model(6, 1, 0), bytes = {10, 1, 1, 1, 1, 1, 1, 1};
    EXPECT_EQ(layers_of(balanced_parts(seconds, bytes, 2)), (std::vector<int>{3, 3}));
    EXPECT_EQ(layers_of(balanced_parts(seconds, bytes, 2, 12)), (std::vector<int>{2, 4}));
    EXPECT_EQ(layers_of(balanced_parts(seconds, bytes, 2, 11)), (std::vector<int>{1, 5}));
    EXPECT_EQ(layers_of(balanced_parts(seconds, bytes, 2, 9)), (std::vector<int>{3, 3})) << "the first never fits: time decides";
}

TEST(Partition, IsTheBestOfAllWays) {
    int over_capacity = 0;
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        const auto draw = [&](std::uint64_t stream, std::uint64_t i, std::uint32_t end) {
            return static_cast<double>(philox(seed, stream, i)[0] % end);
        };
        const auto units = 4 + static_cast<std::size_t>(draw(0, 0, 8));
        const int parts = 1 + static_cast<int>(draw(0, 1, static_cast<std::uint32_t>(units) - 2));
        std::vector<double> seconds, bytes;
        // Few different values: equals are common, and their order matters.
        for (std::size_t u = 0; u < units; ++u) seconds.push_back(draw(1, u, seed % 2 == 0 ? 4 : 1000)), bytes.push_back(draw(2, u, 10));
        const double capacity = std::accumulate(bytes.begin(), bytes.end(), 0.0) / parts * (0.7 + 0.1 * draw(0, 2, 12));
        const Parts expected = brute_force(seconds, bytes, parts, capacity);
        EXPECT_EQ(cost(balanced_parts(seconds, bytes, parts, capacity), seconds, bytes, capacity), cost(expected, seconds, bytes, capacity))
            << "seed " << seed;
        over_capacity += std::get<0>(cost(expected, seconds, bytes, capacity)) > 0;
    }
    EXPECT_GT(over_capacity, 10) << "the cases do not tell what capacity does";
}

TEST(Partition, DeepModelsTakeNoTime) {
    const Parts parts = cut(model(1024, 1.25, 3), 32);
    EXPECT_EQ(parts.size(), 32U);
    EXPECT_EQ(layers_of(parts).back(), 30);
}

TEST(PartsOfLayers, EndsHaveTheEmbeddingAndTheHead) {
    const std::vector<std::int64_t> layers = {20, 12}, one = {4};
    EXPECT_EQ(parts_of_layers(layers), (Parts{{0, 21}, {21, 34}}));
    EXPECT_EQ(parts_of_layers(one), (Parts{{0, 6}}));
}

}  // namespace
