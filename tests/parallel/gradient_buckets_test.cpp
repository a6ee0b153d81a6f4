#include "parallel/gradient_buckets.h"

#include <gtest/gtest.h>

#include "parallel/mesh.h"
#include "tests/parallel/bucket_tables.h"
#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

const Sharding kZero0{}, kZero1{.zero = 1}, kLast{.zero = 2}, kEach{.zero = 2, .moment = ReduceMoment::Each},
    kShared{.zero = 2, .moment = ReduceMoment::Each, .shared_buckets = {0}};
const std::array kAll = {kZero0, kZero1, kLast, kEach, kShared};

std::string text(const Sharding& s) {
    return fmt::format("zero {} {} shared {}", s.zero, s.moment == ReduceMoment::Each ? "each" : "last", s.shared_buckets.size());
}

/// Every rank of the world is data parallel.
Buckets data_parallel(const Sharding& sharding, const std::vector<Entry>& entries = odd_entries()) {
    static const auto one = make_self_communicator();
    return {entries, ReductionGroups{test_world(), *one, *one}, sharding};
}

/// Whole numbers: their sums are exact in any order.
float exact(std::size_t p, std::int64_t i, int micro_batch) {
    return static_cast<float>((test_world().rank() + 1) * (static_cast<std::int64_t>(p) * 7 + i % 1000 + 1 + micro_batch));
}

float fraction(std::size_t p, std::int64_t i, int micro_batch) {
    return std::sin(static_cast<float>(1 + i + 1000 * micro_batch + test_world().rank()) * static_cast<float>(p + 1));
}

TEST(BucketLayoutTest, BlocksPartitionEveryBoxAndRespectAlignment) {
    const Buckets b = data_parallel(kZero0);
    for (const int ranks : {1, 2, 3, 7}) {
        const auto layouts = lay_out_buckets(b.table, ranks);
        ASSERT_EQ(layouts.size(), 4U);
        std::vector<std::int64_t> covered(b.table.size(), 0);
        for (std::size_t k = 0; k < layouts.size(); ++k) {
            EXPECT_EQ(layouts[k].length % (BucketLayout::kAlignment * ranks), 0);
            EXPECT_EQ(layouts[k].block(0, 1), layouts[k].pieces);
            std::int64_t end = 0;
            for (const auto& piece : layouts[k].pieces) {
                EXPECT_GE(piece.offset, end) << "storages do not overlap";
                end = piece.offset + b.table[piece.parameter].storage.elements();
            }
            EXPECT_GE(layouts[k].length, end);
            for (int r = 0; r < ranks; ++r) {
                for (const auto& piece : layouts[k].block(r, ranks)) {
                    const Parameter& p = b.table[piece.parameter];
                    EXPECT_EQ(p.bucket, static_cast<int>(k));
                    EXPECT_EQ(piece.first, covered[piece.parameter]) << "pieces follow each other";
                    EXPECT_EQ(piece.first % BucketLayout::kAlignment, 0);
                    EXPECT_EQ(piece.offset % BucketLayout::kAlignment, 0);
                    EXPECT_LE(piece.offset + piece.count, layouts[k].length / ranks);
                    covered[piece.parameter] += piece.count;
                }
            }
        }
        for (std::size_t p = 0; p < b.table.size(); ++p)
            EXPECT_EQ(covered[p], b.table[p].trainable ? b.table[p].box.shape.elements() : 0) << b.table[p].name;
    }
}

TEST(GradientBucketsTest, ViewsLieInTheirBuckets) {
    const Buckets b = data_parallel(kZero0);
    EXPECT_FALSE(b.table[1].gradient) << "a frozen parameter has no gradient";
    EXPECT_TRUE(b.buckets->owned(1).pieces.empty());
    for (std::size_t k = 0; k < b.buckets->size(); ++k) {
        const OwnedShard& shard = b.buckets->owned(k);
        EXPECT_EQ(shard.master.shape(), shard.gradient.shape());
        for (const auto& piece : shard.pieces) {
            const Parameter& p = b.table[piece.parameter];
            EXPECT_EQ(p.gradient.raw(), shard.gradient.data<float>() + piece.offset) << p.name;
            EXPECT_EQ(p.gradient.shape(), p.storage) << p.name;
        }
    }
}

TEST(GradientBucketsTest, EveryLevelAddsUpEveryElementOnce) {
    const int ranks = test_world().size(), micro_batches = 3;
    for (const Sharding& sharding : kAll) {
        SCOPED_TRACE(text(sharding));
        Buckets b = data_parallel(sharding);
        for (int step = 0; step < 2; ++step) {
            b.step(micro_batches, sharding.moment, exact);
            const auto whole = b.gradients();
            for (std::size_t p = 0; p < b.table.size(); ++p) {
                for (std::size_t i = 0; i < whole.values[p].size(); ++i) {
                    const double one = static_cast<double>(static_cast<std::int64_t>(p) * 7 + static_cast<std::int64_t>(i) % 1000 + 1);
                    ASSERT_EQ(whole.owners[p][i], 1.0) << b.table[p].name << " " << i;
                    ASSERT_EQ(whole.values[p][i], ranks * (ranks + 1) / 2 * (micro_batches * one + 3)) << b.table[p].name << " " << i;
                }
            }
            for (std::size_t k = 0; k < b.buckets->size(); ++k) {
                const OwnedShard& shard = b.buckets->owned(k);
                std::vector<bool> used(static_cast<std::size_t>(shard.gradient.elements()), false);
                for (const auto& piece : shard.pieces) std::fill_n(used.begin() + piece.offset, piece.count, true);
                for (std::size_t i = 0; i < used.size(); ++i)
                    ASSERT_TRUE(used[i] || shard.gradient.data<float>()[i] == 0.0F) << shard.name << " padding " << i;
            }
        }
    }
}

TEST(GradientBucketsTest, LevelsAgreeBitwiseWhereTheyAddInTheSameOrder) {
    Buckets plain = data_parallel(kZero0);
    plain.step(2, ReduceMoment::Last, fraction);
    const auto expected = plain.gradients().values;
    for (const Sharding& sharding : {kZero1, kLast, kEach}) {
        Buckets b = data_parallel(sharding);
        b.step(2, sharding.moment, fraction);
        const auto found = b.gradients().values;
        if (sharding.moment == ReduceMoment::Last) {
            EXPECT_EQ(found, expected) << text(sharding);
        }
        for (std::size_t p = 0; p < found.size(); ++p) {
            for (std::size_t i = 0; i < found[p].size(); ++i) ASSERT_NEAR(found[p][i], expected[p][i], 2e-6) << text(sharding);
        }
    }
}

TEST(GradientBucketsTest, HowBucketsAreCutDoesNotMatter) {
    Buckets plain = data_parallel(kEach);
    plain.step(2, ReduceMoment::Each, fraction);
    auto entries = odd_entries();
    for (Entry& e : entries) e.bucket = 0;
    Buckets merged = data_parallel(kEach, entries);
    merged.step(2, ReduceMoment::Each, fraction);
    EXPECT_EQ(plain.gradients().values, merged.gradients().values);
}

/// The tied embedding: two units add to its bucket, and the buckets of all others come between.
TEST(GradientBucketsTest, ASharedBucketWaitsWhileOthersPass) {
    Buckets b = data_parallel(kShared);
    b.buckets->zero(b.ctx);
    for (int m = 0; m < 2; ++m) {
        b.backward(0, m, exact);
        for (std::size_t k = b.buckets->size(); k-- > 1;) b.backward(k, m, exact), b.buckets->notify_ready(b.ctx, k);
        b.backward(0, m, exact);
        b.buckets->notify_ready(b.ctx, 0);
    }
    const int ranks = test_world().size();
    EXPECT_EQ(b.gradients().values[0][4], ranks * (ranks + 1) / 2 * 2 * (5 + 6));
}

TEST(GradientBucketsTest, MastersGoOutToAllRanks) {
    for (const Sharding& sharding : kAll) {
        SCOPED_TRACE(text(sharding));
        Buckets b = data_parallel(sharding);
        b.step(1, sharding.moment, exact);
        for (std::size_t k = 0; k < b.buckets->size(); ++k) {
            OwnedShard& shard = b.buckets->owned(k);
            for (const auto& piece : shard.pieces) {
                for (std::int64_t i = 0; i < piece.count; ++i)
                    shard.master.data<float>()[piece.offset + i] = static_cast<float>(piece.first + i) + 0.1F;
            }
            b.buckets->gather(b.ctx, k);
        }
        for (const Parameter& p : b.table) {
            const std::int64_t trained = p.trainable ? p.box.shape.elements() : 0;
            for (std::int64_t i = 0; i < p.weight.elements(); ++i) {
                const float master = static_cast<float>(i) + 0.1F;
                const float expected = i >= trained                     ? -5.0F
                                       : p.weight.dtype() == DType::F32 ? master
                                                                        : static_cast<float>(BFloat16(master));
                ASSERT_EQ(Buckets::get(p.weight, i), expected) << p.name << " " << i << ": frozen weights and padding rows stay";
            }
        }
        b.step(1, sharding.moment, exact);  // what the gather left behind is gone
        EXPECT_EQ(b.gradients().values[0][2], test_world().size() * (test_world().size() + 1) / 2 * 3);
    }
}

TEST(GradientBucketsTest, MemoryFallsWithTheRanks) {
    const std::vector<Entry> entries = {{.name = "a", .shape = {256, 12}, .bucket = 0}, {.name = "b", .shape = {256, 24}, .bucket = 1}};
    const std::size_t all = 256U * 36U * 4U, largest = 256U * 24U * 4U, shard = all / static_cast<std::size_t>(test_world().size());
    const auto used = [&](const Sharding& sharding, MemoryKind kind) { return data_parallel(sharding, entries).memory[kind].used(); };
    EXPECT_EQ(used(kZero0, MemoryKind::Gradients), all);
    EXPECT_EQ(used(kZero0, MemoryKind::Master), all);
    EXPECT_EQ(used(kZero1, MemoryKind::Gradients), all);
    EXPECT_EQ(used(kZero1, MemoryKind::Master), shard);
    EXPECT_EQ(used(kEach, MemoryKind::Gradients), shard);
    EXPECT_EQ(used(kEach, MemoryKind::Master), shard);
    const std::size_t sums = used(kZero1, MemoryKind::Communication);
    EXPECT_EQ(used(kEach, MemoryKind::Communication), test_world().size() == 1 ? 0 : largest + sums);
    EXPECT_LE(used(kZero0, MemoryKind::Communication), 40000U);
}

/// One parameter alone is larger than what one sum moves, several are smaller than it together with others.
std::vector<Entry> replicas() {
    std::vector<Entry> entries = odd_entries();
    entries.push_back({.name = "large", .shape = {1 << 19, 1}, .bucket = 2, .sum_over_tensor = true, .sum_over_ends = true});
    entries.push_back({.name = "tied", .shape = {7}, .bucket = 0, .sum_over_ends = true});
    for (int k = 0; k < 3; ++k) entries.push_back({.name = "factor", .shape = {100000}, .bucket = 3, .sum_over_tensor = true});
    return entries;
}

void check_replicas(const MeshIndex& sizes) {
    Mesh mesh(test_world(), sizes);
    for (const Sharding& sharding : kAll) {
        SCOPED_TRACE(text(sharding));
        Buckets b(replicas(), ReductionGroups{mesh.data(), mesh.tensor(), mesh.ends()}, sharding);
        b.step(2, sharding.moment, exact);
        const auto values = b.gradients().values;
        const auto over_data = [&](int rank) {  // of a rank of any group: the sum of the numbers of its data-parallel ranks
            std::int64_t sum = 0;
            for (const int r : group_members(sizes, Axis::Data, rank)) sum += r + 1;
            return sum;
        };
        for (std::size_t p = 0; p < b.table.size(); ++p) {
            std::int64_t sum = 0;
            for (const int end : b.table[p].sum_over_ends ? end_members(sizes, test_world().rank()) : std::vector{test_world().rank()}) {
                for (const int r : b.table[p].sum_over_tensor ? group_members(sizes, Axis::Tensor, end) : std::vector{end})
                    sum += over_data(r);
            }
            for (std::size_t i = 0; i < values[p].size(); ++i) {
                const auto one = static_cast<std::int64_t>(p) * 7 + static_cast<std::int64_t>(i) % 1000 + 1;
                ASSERT_EQ(values[p][i], static_cast<double>(sum * (2 * one + 1))) << b.table[p].name << " " << i;
            }
        }
    }
}

TEST(GradientBucketsTest, ReplicasAreAddedUpOverTheirGroups) {
    const int ranks = test_world().size();
    check_replicas({.data = 1, .tensor = ranks, .pipeline = 1});
    check_replicas({.data = 1, .tensor = 1, .pipeline = ranks});
    if (ranks == 4) {
        check_replicas({.data = 2, .tensor = 2, .pipeline = 1});
        check_replicas({.data = 2, .tensor = 1, .pipeline = 2});
        check_replicas({.data = 1, .tensor = 2, .pipeline = 2});
    }
}

TEST(GradientBucketsTest, WhatIsNotThereIsRefused) {
    Buckets b = data_parallel(kZero0);
    const auto make = [&](const ParamTable& table, const Sharding& sharding) {
        ParamTable copy = table;
        GradientBuckets(copy, ReductionGroups{test_world(), test_world(), test_world()}, b.memory, DType::F32, sharding);
    };
    EXPECT_THROW(b.buckets->notify_ready(b.ctx, 4), Error);
    EXPECT_THROW(b.buckets->gather(b.ctx, 4), Error);
    ParamTable bad = b.table;
    bad[0].weight = Tensor();
    EXPECT_THROW(make(bad, kZero0), Error);
    bad = b.table;
    bad[0].box.shape = {30, 4};  // columns are not padded
    EXPECT_THROW(make(bad, kZero0), Error);
    EXPECT_THROW(make(b.table, {.zero = 1, .moment = ReduceMoment::Each}), Error);
    EXPECT_THROW(make(b.table, {.zero = 3}), Error);
}

}  // namespace
}  // namespace tandem::test
