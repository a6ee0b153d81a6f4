#include "parallel/gradient_buckets.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/base/backend.h"
#include "tests/support/ranks.h"

namespace {

using namespace tandem;

class GradientBucketsTest : public testing::Test {
protected:
    void SetUp() override {
        // Memory that was used before: what must be zero is zero because somebody made it so.
        for (const auto kind : {MemoryKind::Gradients, MemoryKind::Master}) {
            const ArenaScope scope(memory_[kind]);
            std::memset(memory_[kind].allocate("used", DType::U8, Shape{1 << 19}).raw(), 0x55, 1 << 19);
        }
        // Bucket 1 is nobody's, a frozen parameter lies between trained ones, sizes are odd, and one is exactly a block.
        add("embedding", Shape{3, 5}, true, 0, DType::F32);
        add("frozen", Shape{100, 7}, false, 1, DType::F32);
        add("matrix", Shape{17, 31}, true, 2, DType::BF16);
        add("norm", Shape{256}, true, 2, DType::F32);
        add("scalar", Shape{1}, true, 2, DType::F32);
        buckets_ = std::make_unique<GradientBuckets>(table_, test_world(), memory_, DType::F32);
    }
    void add(const std::string& name, const Shape& shape, bool trainable, int bucket, DType dtype) {
        Parameter p;
        p.name = name;
        p.global = shape;
        p.box = {Shape(std::vector<std::int64_t>(static_cast<std::size_t>(shape.dims()), 0)), shape};
        p.weight = memory_[MemoryKind::Weights].allocate(name, dtype, shape);
        p.trainable = trainable;
        p.bucket = bucket;
        const auto first = static_cast<float>(table_.size()) * 1000;
        for (std::int64_t i = 0; i < p.weight.elements(); ++i) {
            if (dtype == DType::F32) p.weight.data<float>()[i] = first + static_cast<float>(i);
            else p.weight.data<BFloat16>()[i] = BFloat16(static_cast<float>(i % 200));
        }
        table_.push_back(p);
    }
    static float weight(const Parameter& p, std::int64_t i) {
        return p.weight.dtype() == DType::F32 ? p.weight.data<float>()[i] : static_cast<float>(p.weight.data<BFloat16>()[i]);
    }
    /// Which elements of the bucket belong to a parameter.
    static std::vector<bool> owned(const OwnedShard& shard) {
        std::vector<bool> used(static_cast<std::size_t>(shard.gradient.elements()), false);
        for (const auto& piece : shard.pieces) {
            for (std::int64_t i = 0; i < piece.count; ++i) {
                EXPECT_FALSE(used.at(static_cast<std::size_t>(piece.offset + i))) << "pieces overlap in " << shard.name;
                used.at(static_cast<std::size_t>(piece.offset + i)) = true;
            }
        }
        return used;
    }

    std::unique_ptr<Backend> backend_ = make_ref_backend();
    std::unique_ptr<Stream> stream_ = backend_->make_stream();
    DeviceMemory memory_{*backend_, std::size_t{1} << 20U};
    Context ctx_{*backend_, *stream_, memory_[MemoryKind::Workspace]};
    ParamTable table_;
    std::unique_ptr<GradientBuckets> buckets_;
};

TEST_F(GradientBucketsTest, EveryTrainedParameterLiesInItsBucketOnce) {
    ASSERT_EQ(buckets_->size(), 3U);
    std::vector<int> seen(table_.size(), 0);
    for (std::size_t b = 0; b < buckets_->size(); ++b) {
        const OwnedShard& shard = buckets_->owned(b);
        EXPECT_EQ(shard.gradient.elements() % (GradientBuckets::kAlignment * test_world().size()), 0);
        EXPECT_EQ(shard.master.shape(), shard.gradient.shape());
        static_cast<void>(owned(shard));
        for (const auto& piece : shard.pieces) {
            const Parameter& p = table_[piece.parameter];
            ++seen[piece.parameter];
            EXPECT_EQ(p.bucket, static_cast<int>(b));
            EXPECT_EQ(piece.first, 0);
            EXPECT_EQ(piece.count, p.box.shape.elements());
            EXPECT_EQ(piece.offset % GradientBuckets::kAlignment, 0);
            EXPECT_EQ(p.gradient.raw(), shard.gradient.data<float>() + piece.offset) << p.name;
            EXPECT_EQ(p.gradient.shape(), p.box.shape) << p.name;
        }
    }
    EXPECT_EQ(seen, (std::vector<int>{1, 0, 1, 1, 1}));
    EXPECT_FALSE(table_[1].gradient) << "a frozen parameter has no gradient";
    EXPECT_TRUE(buckets_->owned(1).pieces.empty());
}

TEST_F(GradientBucketsTest, GradientsAreSummedOverRanksAndPaddingStaysZero) {
    const int ranks = test_world().size();
    for (int step = 0; step < 2; ++step) {
        buckets_->zero(ctx_);
        for (auto& p : table_) {
            for (std::int64_t i = 0; p.trainable && i < p.gradient.elements(); ++i) {
                p.gradient.data<float>()[i] += static_cast<float>((test_world().rank() + 1) * (i + 1 + step));
            }
        }
        for (std::size_t b = buckets_->size(); b-- > 0;) buckets_->notify_ready(ctx_, b);
        const auto sum = static_cast<float>(ranks * (ranks + 1) / 2);
        for (const auto& p : table_) {
            for (std::int64_t i = 0; p.trainable && i < p.gradient.elements(); ++i) {
                ASSERT_EQ(p.gradient.data<float>()[i], sum * static_cast<float>(i + 1 + step)) << p.name << " " << i;
            }
        }
        for (std::size_t b = 0; b < buckets_->size(); ++b) {
            const OwnedShard& shard = buckets_->owned(b);
            const auto used = owned(shard);
            for (std::size_t i = 0; i < used.size(); ++i) {
                ASSERT_TRUE(used[i] || shard.gradient.data<float>()[i] == 0.0F) << shard.name << " padding " << i;
            }
        }
    }
}

TEST_F(GradientBucketsTest, MastersGoOut) {
    for (std::size_t b = 0; b < buckets_->size(); ++b) {
        const OwnedShard& shard = buckets_->owned(b);
        for (const auto& piece : shard.pieces) {
            for (std::int64_t i = 0; i < piece.count; ++i)
                shard.master.data<float>()[piece.offset + i] = -weight(table_[piece.parameter], i);
        }
        buckets_->gather(ctx_, b);
    }
    EXPECT_EQ(weight(table_[0], 7), -7.0F);
    EXPECT_EQ(weight(table_[1], 7), 1007.0F) << "frozen weights stay";
    EXPECT_EQ(weight(table_[2], 31), -31.0F);
    EXPECT_EQ(weight(table_[4], 0), -4000.0F);
}

TEST_F(GradientBucketsTest, WhatIsNotThereIsRefused) {
    EXPECT_THROW(buckets_->notify_ready(ctx_, 3), Error);
    EXPECT_THROW(buckets_->gather(ctx_, 3), Error);
    ParamTable bad = table_;
    bad[0].weight = Tensor();
    EXPECT_THROW(GradientBuckets(bad, test_world(), memory_, DType::F32), Error);
}

}  // namespace
