// The optimizer over ranks: norms that count each element of the model once, agreement about what is not finite, updates of shards.
#include <gtest/gtest.h>

#include <limits>

#include "parallel/mesh.h"
#include "src/engine/optimizer.h"
#include "tests/parallel/bucket_tables.h"
#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

constexpr std::array kAll = {Sharding{}, Sharding{.zero = 1}, Sharding{.zero = 2, .moment = ReduceMoment::Each}};

struct Ranks {
    Mesh mesh;
    Buckets buckets;
    Optimizer optimizer;

    Ranks(const MeshIndex& sizes, const Sharding& sharding, const OptimizerSection& settings, const std::vector<Entry>& list = entries())
        : mesh(test_world(), sizes),
          buckets(list, ReductionGroups{mesh.data(), mesh.tensor(), mesh.ends()}, sharding),
          optimizer(settings, *buckets.buckets, tag(buckets.table, mesh.tensor().rank()), mesh.world(), buckets.ctx, buckets.memory, 512) {}

    /// Of the odd ones all but "norm" are split over the tensor-parallel ranks, each of which has a different part of this shape.
    static std::vector<Entry> entries() {
        auto list = odd_entries();
        for (Entry& e : list) e.dtype = DType::F32;
        return list;
    }
    /// With some whose moments are in eight bits: shards begin and end within them, one has a short last block and padding after it.
    static std::vector<Entry> large_entries() {
        auto list = entries();
        list.push_back({.name = "large", .shape = {91, 63}, .bucket = 2});
        list.push_back({.name = "rows", .shape = {20, 256}, .bucket = 3, .padding_rows = 3});
        list.push_back({.name = "vector", .shape = {4097}, .bucket = 3, .padding_rows = 0});
        return list;
    }
    static ParamTable& tag(ParamTable& table, int tensor_rank) {
        for (Parameter& p : table) p.counts_in_norm = tensor_rank == 0 || !p.sum_over_tensor;
        return table;
    }
};

std::vector<MeshIndex> layouts() {
    const int n = test_world().size();
    std::vector<MeshIndex> list = {{.data = n, .tensor = 1, .pipeline = 1}, {.data = 1, .tensor = n, .pipeline = 1}};
    if (n == 4) list.push_back({.data = 2, .tensor = 2, .pipeline = 1});
    return list;
}

TEST(OptimizerOverRanks, TheNormCountsEachElementOnce) {
    constexpr double kSplit = 30 * 5 + 17 * 31 + 1 + 40 * 33, kReplicated = 256;
    for (const MeshIndex& sizes : layouts()) {
        for (const Sharding& sharding : kAll) {
            Ranks r(sizes, sharding, {});
            r.buckets.step(1, sharding.moment, [](std::size_t, std::int64_t, int) { return 1.0F; });
            r.optimizer.step(r.buckets.ctx, 1e-3, 10, 1);
            const double d = sizes.data, t = sizes.tensor;
            EXPECT_NEAR(r.optimizer.norm(r.buckets.ctx), std::sqrt(t * kSplit * d * d + kReplicated * t * d * t * d) / 10, 1e-9)
                << sizes.data << " x " << sizes.tensor << " zero " << sharding.zero;
        }
    }
}

TEST(OptimizerOverRanks, TheFirstNonFiniteGradientIsNamedAlikeEverywhere) {
    const int last = test_world().size() - 1;
    for (const MeshIndex& sizes : layouts()) {
        for (const Sharding& sharding : kAll) {
            Ranks r(sizes, sharding, {});
            // The first rank has one in a late bucket, the last one in an earlier bucket, at the end of a parameter.
            r.buckets.step(1, sharding.moment, [&](std::size_t p, std::int64_t i, int) {
                const bool here = (test_world().rank() == 0 && p == 5) || (test_world().rank() == last && p == 2 && i == 17 * 31 - 1);
                return here ? std::numeric_limits<float>::infinity() : 1.0F;
            });
            r.optimizer.measure(r.buckets.ctx);
            EXPECT_FALSE(r.optimizer.gradients_finite(r.buckets.ctx));
            EXPECT_EQ(r.optimizer.first_non_finite(r.buckets.ctx), "matrix");
            r.buckets.step(1, sharding.moment, [](std::size_t, std::int64_t, int) { return 1.0F; });
            r.optimizer.measure(r.buckets.ctx);
            EXPECT_TRUE(r.optimizer.gradients_finite(r.buckets.ctx));
            EXPECT_EQ(r.optimizer.first_non_finite(r.buckets.ctx), "");
        }
    }
}

class Updated : public testing::TestWithParam<OptimizerName> {};

TEST_P(Updated, ShardsAreAsTheWholeIs) {
    OptimizerSection settings;
    settings.name = GetParam();
    settings.max_grad_norm = 0;  // the norm's last bits depend on the order of its sum
    settings.weight_decay = 0.1;
    const auto train = [&](const Sharding& sharding) {
        Ranks r(layouts().front(), sharding, settings, Ranks::large_entries());
        Buckets& b = r.buckets;
        for (std::size_t k = 0; k < b.buckets->size(); ++k) {
            const OwnedShard& shard = b.buckets->owned(k);
            for (const auto& piece : shard.pieces) {
                for (std::int64_t i = 0; i < piece.count; ++i)
                    shard.master.data<float>()[piece.offset + i] = std::cos(static_cast<float>(piece.first + i));
            }
        }
        for (int step = 1; step <= 3; ++step) {
            b.step(1, sharding.moment, [&](std::size_t p, std::int64_t i, int) {
                return std::sin(static_cast<float>(i + 7 * step + test_world().rank()) * static_cast<float>(p + 1));
            });
            r.optimizer.step(b.ctx, 0.01, 3, step);
        }
        std::vector<float> weights;
        for (const Parameter& p : b.table)
            weights.insert(weights.end(), p.weight.data<float>(), p.weight.data<float>() + p.weight.elements());
        return weights;
    };
    const auto expected = train(kAll[0]);
    EXPECT_EQ(train(kAll[1]), expected);
    EXPECT_EQ(train(kAll[2]), expected);
}

INSTANTIATE_TEST_SUITE_P(OptimizerOverRanks, Updated,
                         testing::Values(OptimizerName::AdamW, OptimizerName::AdamW8bit, OptimizerName::PagedAdamW8bit),
                         [](const auto& test) { return std::string(name(test.param)); });

/// A plan is made of the first data-parallel rank: what shards have of small and of large parameters differs, what they take may not.
TEST(OptimizerOverRanks, ShardsTakeAsMuchOnEveryRank) {
    for (const OptimizerName optimizer : {OptimizerName::AdamW, OptimizerName::AdamW8bit, OptimizerName::PagedAdamW8bit}) {
        for (const Sharding& sharding : kAll) {
            OptimizerSection settings;
            settings.name = optimizer;
            Ranks r(layouts().front(), sharding, settings, Ranks::large_entries());
            const auto here = static_cast<std::int64_t>(r.buckets.memory[MemoryKind::Optimizer].used());
            std::array<std::int64_t, 4> most = {here, -here, static_cast<std::int64_t>(r.optimizer.host_bytes()),
                                                -static_cast<std::int64_t>(r.optimizer.host_bytes())};
            test_world().max(most);
            EXPECT_EQ(most[0], -most[1]) << name(optimizer) << " zero " << sharding.zero;
            EXPECT_EQ(most[2], -most[3]) << name(optimizer) << " zero " << sharding.zero;
            EXPECT_EQ(most[2] > 0, optimizer == OptimizerName::PagedAdamW8bit);
        }
    }
}

}  // namespace
}  // namespace tandem::test
