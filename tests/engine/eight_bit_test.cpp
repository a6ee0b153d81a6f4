// Moments in eight bits: the very op over whole tensors, resident or page by page; what they take.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops/elementwise.h"
#include "kernels/ops/optimizer.h"
#include "tests/engine/tiny_state.h"

namespace tandem::test {
namespace {

using enum OptimizerName;

constexpr std::int64_t kWidth = 1603;  ///< "layer.weight" has 4 x 1603 elements, 25 blocks and 12 elements
constexpr std::int64_t kElements = 4 * kWidth, kBlocks = 26;

OptimizerSection settings_of(OptimizerName name) {
    OptimizerSection s;
    s.name = name;
    s.max_grad_norm = 0;
    s.weight_decay = 0.1;
    return s;
}

float gradient(std::size_t parameter, std::int64_t i, int step) {
    return std::sin(static_cast<float>(i + 1) * 0.37F + static_cast<float>(step)) *
           std::exp(0.25F * static_cast<float>((i + static_cast<std::int64_t>(parameter)) % 9));
}

void train(TinyState& t, int first, int last) {
    for (int step = first; step <= last; ++step) {
        t.buckets->zero(t.ctx);
        for (std::size_t p = 0; p < t.table.size(); ++p) {
            for (std::int64_t i = 0; i < t.table[p].gradient.elements(); ++i) t.table[p].gradient.data<float>()[i] = gradient(p, i, step);
        }
        t.optimizer->step(t.ctx, 0.01, 1, step);
    }
}

/// All of the state, by part and parameter.
std::map<std::string, std::vector<std::byte>> everything(TinyState& t) {
    std::map<std::string, std::vector<std::byte>> all;
    for (const OwnedBox& box : t.state->owned()) {
        std::vector<std::byte> values(t.state->bytes(box));
        t.state->read(t.ctx, box, values);
        auto& list = all[fmt::format("{} {}", name(box.part), t.state->parameter(box).name)];
        list.insert(list.end(), values.begin(), values.end());
    }
    return all;
}

template <class T>
std::vector<T> as(const std::vector<std::byte>& bytes) {
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

/// Four steps of the op on one tensor, beside the state of a run.
struct Alone {
    TinyState& t;
    std::int64_t n;
    EightBitMoments moments{allocate("m", DType::U8, n), allocate("v", DType::U8, n), allocate("m absmax", DType::F32, (n + 255) / 256),
                            allocate("v absmax", DType::F32, (n + 255) / 256)};
    Tensor master = allocate("master", DType::F32, n), grad = allocate("gradient", DType::F32, n), scale = allocate("scale", DType::F64, 1);

    [[nodiscard]] Tensor allocate(const char* name, DType dtype, std::int64_t count) const {
        const Tensor x = t.memory[MemoryKind::Activations].allocate(name, dtype, {count});
        ops::zero(t.ctx, x);
        return x;
    }
    void train(std::size_t parameter) {
        std::fill_n(master.data<float>(), n, 1.0F + static_cast<float>(parameter));
        *scale.data<double>() = 1;
        for (int step = 1; step <= 4; ++step) {
            for (std::int64_t i = 0; i < n; ++i) grad.data<float>()[i] = gradient(parameter, i, step);
            ops::adamw_8bit(t.ctx, {0.01, 0.9, 0.999, 1e-8, 0.1, step}, scale, grad, moments, master);
        }
    }
};

TEST(EightBitStates, AreWhatTheOpMakesOfTheWholeTensor) {
    // Page ends lie within both large tensors, or nowhere.
    for (const auto& [optimizer, page] : {std::pair{AdamW8bit, EightBitStates::kPage}, std::pair{PagedAdamW8bit, std::int64_t{768}}}) {
        TinyState t(settings_of(optimizer), kWidth, page, 4500);
        train(t, 1, 4);
        const auto all = everything(t);
        for (const std::size_t parameter : {0U, 3U}) {
            const std::string& tensor = t.table[parameter].name;
            Alone alone{t, t.table[parameter].global.elements()};
            alone.train(parameter);
            const auto equal = [&](const char* part, const Tensor& want) {
                const auto& got = all.at(std::string(part) + " " + tensor);
                return got.size() == want.bytes() && std::memcmp(got.data(), want.raw(), got.size()) == 0;
            };
            EXPECT_TRUE(equal("exp_avg_8bit", alone.moments.m)) << tensor;
            EXPECT_TRUE(equal("exp_avg_sq_8bit", alone.moments.v)) << tensor;
            EXPECT_TRUE(equal("exp_avg_absmax", alone.moments.m_absmax)) << tensor;
            EXPECT_TRUE(equal("exp_avg_sq_absmax", alone.moments.v_absmax)) << tensor;
            EXPECT_TRUE(equal("master", alone.master)) << tensor;
            EXPECT_NE(as<float>(all.at("exp_avg_absmax " + tensor)).back(), 0.0F) << "the short last block has a scale";
        }
    }
}

TEST(EightBitStates, SmallParametersAreThoseOfAdamW) {
    TinyState wide(settings_of(AdamW), kWidth), narrow(settings_of(AdamW8bit), kWidth);
    train(wide, 1, 3);
    train(narrow, 1, 3);
    const auto want = everything(wide), got = everything(narrow);
    for (const char* tensor : {"layer.bias", "norm.weight"}) {
        for (const StatePart part : {StatePart::Master, StatePart::FirstMoment, StatePart::SecondMoment}) {
            const std::string what = fmt::format("{} {}", name(part), tensor);
            EXPECT_EQ(got.at(what), want.at(what)) << what;
        }
    }
    EXPECT_FALSE(got.contains("exp_avg layer.weight"));
    // In eight bits something is lost, and not much.
    const auto a = as<float>(got.at("master layer.weight")), b = as<float>(want.at("master layer.weight"));
    double distance = 0, update = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        distance += std::pow(static_cast<double>(a[i] - b[i]), 2);
        update += std::pow(static_cast<double>(b[i] - 1.0F), 2);
    }
    EXPECT_GT(distance, 0);
    EXPECT_LT(std::sqrt(distance / update), 0.05);
}

/// Pages that end within tensors, one that is a bucket, and a single one.
TEST(EightBitStates, PagedOnesAreTheSameToTheBit) {
    TinyState resident(settings_of(AdamW8bit), kWidth);
    train(resident, 1, 5);
    const auto want = everything(resident);
    for (const std::int64_t page : {std::int64_t{256}, std::int64_t{512}, std::int64_t{768}, kBlocks * 256, EightBitStates::kPage}) {
        TinyState paged(settings_of(PagedAdamW8bit), kWidth, page);
        train(paged, 1, 5);
        EXPECT_EQ(everything(paged), want) << page;
        EXPECT_EQ(paged.optimizer->host_bytes(), static_cast<std::size_t>(eight_bit_bytes(kBlocks * 256)));
    }
}

/// What was fetched ahead is not what is used after a checkpoint was read.
TEST(EightBitStates, WrittenStateIsWhatPagesAreFilledFrom) {
    TinyState straight(settings_of(AdamW8bit), kWidth), before(settings_of(AdamW8bit), kWidth);
    train(straight, 1, 6);
    train(before, 1, 3);
    TinyState after(settings_of(PagedAdamW8bit), kWidth, 512);
    train(after, 1, 1);  // its state is replaced
    for (const OwnedBox& box : before.state->owned()) {
        std::vector<std::byte> values(before.state->bytes(box));
        before.state->read(before.ctx, box, values);
        after.state->write(after.ctx, box, values);
    }
    EXPECT_EQ(everything(after), everything(before));
    train(after, 4, 6);
    EXPECT_EQ(everything(after), everything(straight));
}

/// Bucket 1 is on its way when bucket 0 is done; what is written then must be what arrives.
TEST(EightBitStates, APageThatWasFetchedAheadIsFetchedAgainAfterAWrite) {
    TinyState t;
    constexpr std::int64_t n = 512;
    const auto moments = [] {
        BucketMoments m;
        m.pieces = {{true, 0}};
        m.eight_bit = m.most_eight_bit = n;
        return m;
    };
    const auto states = make_paged_states({moments(), moments()}, t.ctx, t.memory, 256);
    states->visit(t.ctx, 0, [](const EightBitMoments&, std::int64_t, std::int64_t) {});
    std::vector<std::uint8_t> codes(n, 7);
    states->write(t.ctx, 1, StatePart::SecondCodes, 0, std::as_bytes(std::span(codes)));
    std::vector<std::int64_t> firsts;
    states->visit(t.ctx, 1, [&](const EightBitMoments& m, std::int64_t first, std::int64_t count) {
        firsts.push_back(first);
        for (std::int64_t i = 0; i < count; ++i) EXPECT_EQ(m.v.data<std::uint8_t>()[i], 7) << first + i;
        std::fill_n(m.m_absmax.data<float>(), count / 256, static_cast<float>(first + 1));
    });
    EXPECT_EQ(firsts, (std::vector<std::int64_t>{0, 256}));
    std::vector<float> scales(2);
    states->read(t.ctx, 1, StatePart::FirstAbsmax, 0, std::as_writable_bytes(std::span(scales)));
    EXPECT_EQ(scales, (std::vector<float>{1, 257}));
}

TEST(EightBitStates, TakeTwoBytesOfAnElementAndTheirScales) {
    const auto bytes = [](OptimizerName name, std::int64_t page = EightBitStates::kPage) {
        TinyState t(settings_of(name), kWidth, page);
        return t.memory[MemoryKind::Optimizer].used();
    };
    TinyState sgd(settings_of(Sgd), kWidth);
    const std::size_t scalars = sgd.memory[MemoryKind::Optimizer].used();
    const std::size_t small = 2 * (256 + 256) * sizeof(float);  // the two small ones, padded to blocks
    const std::size_t large = static_cast<std::size_t>(kBlocks) * (2 * 256 + 2 * sizeof(float));
    const auto rounded = [](std::size_t n) { return (n + Arena::kAlignment - 1) / Arena::kAlignment * Arena::kAlignment; };
    EXPECT_EQ(bytes(AdamW8bit), scalars + small + rounded(large));
    EXPECT_EQ(bytes(PagedAdamW8bit, 512), scalars + small + 2 * rounded(2 * (2 * 256 + 2 * sizeof(float))));
    EXPECT_EQ(bytes(AdamW), scalars + small + 2 * static_cast<std::size_t>(kBlocks) * 256 * sizeof(float));
}

}  // namespace
}  // namespace tandem::test
