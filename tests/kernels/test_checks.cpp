// The public ops refuse operands that do not fit, by name, and accept empty ones.
#include <gtest/gtest.h>

#include "kernels/ops/attention.h"
#include "kernels/ops/bias.h"
#include "kernels/ops/check.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/glu.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/optimizer.h"
#include "kernels/ops/rmsnorm.h"
#include "kernels/ops/rope.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

class Checks : public testing::Test {
protected:
    Tensor f32(const Shape& shape) { return device.filled(shape, DType::F32, 0.5); }
    Tensor f64(const Shape& shape) { return device.filled(shape, DType::F64, 0.5); }
    Tensor bf16(const Shape& shape) { return device.filled(shape, DType::BF16, 0.5); }
    Tensor i32(std::int64_t n) { return device.filled({n}, DType::I32, 0); }
    Tensor i64(std::int64_t n) { return device.filled({n}, DType::I64, 0); }
    Segments segments(std::int64_t tokens) {
        const auto offsets = device.tensor({2}, DType::I32, {0.0, static_cast<double>(tokens)});
        return {offsets, offsets, tokens};
    }

    Device device;
    Context& ctx = device.context();
};

}  // namespace

/// The call throws Failure::Run with every given part in its message.
#define EXPECT_REFUSED(call, ...)                                                                          \
    try {                                                                                                  \
        call;                                                                                              \
        ADD_FAILURE() << #call " was accepted";                                                            \
    } catch (const Error& e) {                                                                             \
        EXPECT_EQ(e.failure(), Failure::Run);                                                              \
        for (const char* part : {__VA_ARGS__})                                                             \
            EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << part << " in: " << e.what(); \
    }

TEST_F(Checks, Elementwise) {
    EXPECT_REFUSED(ops::zero(ctx, {}), "zero: x is absent");
    EXPECT_REFUSED(ops::cast(ctx, f32({2, 3}), f32({3, 2})), "cast: y is fp32 [3, 2], but [2, 3] is needed");
    EXPECT_REFUSED(ops::cast(ctx, f32({3}), i32(3)), "cast", "fp32 [3]", "int32 [3]");
    EXPECT_REFUSED(ops::add(ctx, f32({3}), bf16({3}), f32({3})), "add: b is bf16 [3], but fp32 is needed");
    EXPECT_REFUSED(ops::axpy(ctx, 1.0, i32(3), f32({3})), "axpy: x is int32 [3]");
    const auto x = f32({4, 5});
    EXPECT_REFUSED(ops::add(ctx, x.rows(0, 2), x.rows(2, 4), x.rows(1, 3)), "add: a fp32 [2, 5] and y fp32 [2, 5] share memory in part");
    EXPECT_REFUSED(ops::dropout(ctx, {1, 1.0}, i64(4), x, x), "dropout: probability 1 ");
    EXPECT_REFUSED(ops::dropout(ctx, {1, 0.1}, i64(5), x, x), "dropout: row_ids is int64 [5], but [4] is needed");
    EXPECT_REFUSED(ops::dropout(ctx, {1, 0.1}, i32(4), x, x), "dropout: row_ids is int32 [4], but int64 is needed");
    EXPECT_REFUSED(ops::dropout(ctx, {1, 0.1, -1}, i64(4), x, x), "dropout: first_column -1 is negative");
}

TEST_F(Checks, Matmul) {
    EXPECT_REFUSED(ops::matmul(ctx, f32({2, 3}), f32({4, 5}), f32({2, 5})), "matmul: a is fp32 [2, 3] and b is fp32 [4, 5]", "3 and 4");
    EXPECT_REFUSED(ops::matmul(ctx, transposed(f32({2, 3})), {f32({3, 5})}, f32({2, 5})), "a is fp32 [2, 3] transposed");
    EXPECT_REFUSED(ops::matmul(ctx, f32({2, 3}), f32({3, 5}), f32({2, 6})), "matmul: c is fp32 [2, 6], but [2, 5] is needed");
    EXPECT_REFUSED(ops::matmul(ctx, f32({2, 3}), bf16({3, 5}), f32({2, 5})), "matmul: b is bf16 [3, 5], but fp32 is needed");
    EXPECT_REFUSED(ops::matmul(ctx, f32({2, 3}), f32({3, 5}), bf16({2, 5})), "matmul: c is bf16");
    EXPECT_REFUSED(ops::matmul(ctx, f32({2, 3}), f32({3}), f32({2, 5})), "matmul: b is fp32 [3], but 2 dimensions");
    const auto x = f32({4, 4});
    EXPECT_REFUSED(ops::matmul(ctx, x, f32({4, 4}), x), "matmul: a fp32 [4, 4] and c fp32 [4, 4] share memory");
    EXPECT_NO_THROW(ops::matmul(ctx, x.columns(0, 2), f32({2, 2}), x.columns(2, 4)));  // two blocks of one buffer
    EXPECT_REFUSED(ops::matmul(ctx, x.columns(0, 2), f32({2, 2}), x.columns(1, 3)), "share memory");
}

TEST_F(Checks, BiasAndEmbedding) {
    EXPECT_REFUSED(ops::matmul_bias(ctx, {f32({2, 3})}, {f32({3, 5})}, f32({4}), f32({2, 5})),
                   "matmul_bias: bias is fp32 [4], but [5] is needed");
    EXPECT_REFUSED(ops::matmul_bias(ctx, {bf16({2, 3})}, {bf16({3, 5})}, f32({5}), f32({2, 5})),
                   "matmul_bias: c is fp32 [2, 5], but bf16 is needed");
    EXPECT_REFUSED(ops::matmul_bias(ctx, {bf16({2, 3})}, {bf16({3, 5})}, f32({5}), bf16({2, 5})),
                   "matmul_bias: bias is fp32 [5], but bf16 is needed");
    EXPECT_REFUSED(ops::bias_add(ctx, f32({4}), f32({2, 3})), "bias_add: bias is fp32 [4], but [3] is needed");
    EXPECT_REFUSED(ops::bias_backward(ctx, bf16({2, 3}), bf16({3})), "bias_backward: dbias is bf16 [3], but fp32 is needed");
    EXPECT_REFUSED(ops::embedding(ctx, f32({9, 4}), i32(2), f32({3, 4})), "embedding: ids is int32 [2], but [3] is needed");
    EXPECT_REFUSED(ops::embedding(ctx, f32({9, 4}), i32(3), f32({3, 5})), "embedding: y is fp32 [3, 5], but [3, 4] is needed");
    EXPECT_REFUSED(ops::embedding_backward(ctx, f32({3, 4}), i32(3), f32({9, 5})), "embedding_backward: dtable is fp32 [9, 5]");
    const auto outside = device.tensor({2}, DType::I32, {0, 9});
    EXPECT_REFUSED(ops::embedding(ctx, f32({9, 4}), outside, f32({2, 4})), "embedding: ids[1] is 9, outside [0, 9)");
    EXPECT_REFUSED(ops::embedding_backward(ctx, f32({2, 4}), outside, f32({9, 4})), "ids[1] is 9");
    const auto below = device.tensor({2}, DType::I32, {-1, -2});
    EXPECT_REFUSED(ops::embedding(ctx, f32({9, 4}), below, f32({2, 4})), "embedding: ids[1] is -2, outside [0, 9)");
    EXPECT_REFUSED(ops::embedding_backward(ctx, f32({2, 4}), below, f32({9, 4})), "ids[1] is -2");
    EXPECT_REFUSED(ops::gather_rows(ctx, f32({4, 4}), below, f32({2, 4})), "gather_rows: index[0] is -1, outside [0, 4)");
    EXPECT_REFUSED(ops::gather_rows(ctx, f32({4, 4}), outside, f32({2, 4})), "gather_rows: index[1] is 9, outside [0, 4)");
    EXPECT_REFUSED(ops::scatter_rows(ctx, f32({3, 4}), outside, f32({9, 4})), "scatter_rows: index is int32 [2], but [3] is needed");
}

TEST_F(Checks, Layers) {
    const auto x = f32({2, 6});
    EXPECT_REFUSED(ops::rmsnorm(ctx, {}, x, f32({5}), x, {}), "rmsnorm: w is fp32 [5], but [6] is needed");
    EXPECT_REFUSED(ops::rmsnorm(ctx, {}, x, f32({6}), x, f32({3})), "rmsnorm: rstd is fp32 [3], but [2] is needed");
    EXPECT_REFUSED(ops::rmsnorm_backward(ctx, {}, x, f32({2, 6}), f32({6}), {}, f32({2, 6}), Write::Overwrite, {}), "rstd is absent");
    EXPECT_REFUSED(ops::rmsnorm_backward(ctx, {}, x, f32({2, 6}), f32({6}), f32({2}), x, Write::Accumulate, {}), "dy", "dx",
                   "share memory");
    EXPECT_NO_THROW(ops::rmsnorm_backward(ctx, {}, x, f32({2, 6}), f32({6}), f32({2}), x, Write::Overwrite, {}));

    EXPECT_REFUSED(ops::rope(ctx, Rotation::Forward, f32({9, 4}), f32({9, 4}), i32(2), f32({2, 3, 6})), "rope: cos is fp32 [9, 4]", "8",
                   "6");
    EXPECT_REFUSED(ops::rope(ctx, Rotation::Forward, f32({9, 3}), f32({8, 3}), i32(2), f32({2, 3, 6})), "rope: sin is fp32 [8, 3]");
    EXPECT_REFUSED(ops::rope(ctx, Rotation::Forward, bf16({9, 3}), bf16({9, 3}), i32(2), bf16({2, 3, 6})), "rope: cos is bf16");
    EXPECT_REFUSED(ops::glu(ctx, Activation::SiLU, x, f32({2, 5}), x), "glu: up is fp32 [2, 5], but [2, 6] is needed");
    const auto g = f32({2, 6});
    EXPECT_REFUSED(ops::glu_backward(ctx, Activation::SiLU, x, g, f32({2, 6}), f32({2, 6}), g), "glu_backward: gate", "dup");

    const auto loss = f64({1});
    EXPECT_REFUSED(ops::cross_entropy(ctx, bf16({2, 6}), i32(2), loss, {}), "cross_entropy: logits is bf16");
    EXPECT_REFUSED(ops::cross_entropy(ctx, x, i32(2), f32({1}), {}), "cross_entropy: loss_sum is fp32 [1], but fp64 is needed");
    EXPECT_REFUSED(ops::cross_entropy(ctx, f64({2, 6}), i32(2), loss, bf16({2, 6})), "cross_entropy: logits is fp64");
    const auto labels = device.tensor({2}, DType::I32, {0, -100});
    EXPECT_REFUSED(ops::cross_entropy(ctx, x, labels, loss, {}), "cross_entropy: labels[1] is -100, outside [0, 6)");
}

TEST_F(Checks, CrossEntropyOfParts) {
    const auto x = f32({2, 6}), statistics = f32({3, 2, 3});
    const auto loss = f64({1});
    EXPECT_REFUSED(ops::cross_entropy_statistics(ctx, bf16({2, 6}), i32(2), f32({2, 3})), "cross_entropy_statistics: logits is bf16");
    EXPECT_REFUSED(ops::cross_entropy_statistics(ctx, x, i32(3), f32({2, 3})), "labels is int32 [3], but [2] is needed");
    EXPECT_REFUSED(ops::cross_entropy_statistics(ctx, x, i32(2), f64({2, 3})), "statistics is fp64 [2, 3], but fp32 is needed");
    EXPECT_REFUSED(ops::cross_entropy_statistics(ctx, x, i32(2), f32({2, 2})), "statistics is fp32 [2, 2], but [2, 3] is needed");
    EXPECT_REFUSED(ops::cross_entropy_statistics(ctx, f32({2, 0}), i32(2), f32({2, 3})), "the vocabulary is empty");
    EXPECT_REFUSED(ops::cross_entropy_from_statistics(ctx, x, i32(2), f32({3, 1, 3}), loss, {}),
                   "cross_entropy_from_statistics: statistics is fp32 [3, 1, 3], but [3, 2, 3] is needed");
    EXPECT_REFUSED(ops::cross_entropy_from_statistics(ctx, x, i32(2), f32({0, 2, 3}), loss, {}), "there is no part");
    EXPECT_REFUSED(ops::cross_entropy_from_statistics(ctx, x, i32(2), statistics, f32({1}), {}), "loss_sum is fp32 [1]");
    EXPECT_REFUSED(ops::cross_entropy_from_statistics(ctx, x, i32(2), statistics, {}, f32({2, 5})), "dlogits is fp32 [2, 5]");
    EXPECT_NO_THROW(ops::cross_entropy_from_statistics(ctx, x, i32(2), statistics, {}, {}));
    for (const double outside : {6.0, -2.0, -100.0}) {
        const auto labels = device.tensor({2}, DType::I32, {-1, outside});
        const auto message = fmt::format("labels[1] is {}, outside [0, 6)", outside);
        EXPECT_REFUSED(ops::cross_entropy_statistics(ctx, x, labels, f32({2, 3})), "cross_entropy_statistics: ", message.c_str());
        EXPECT_REFUSED(ops::cross_entropy_from_statistics(ctx, x, labels, statistics, loss, {}), message.c_str());
    }
}

TEST_F(Checks, Attention) {
    const auto q = f32({3, 4, 2});
    const auto k = f32({3, 2, 2});
    const auto o = f32({3, 4, 2});
    const auto lse = f32({4, 3});
    EXPECT_NO_THROW(ops::attention(ctx, {}, segments(3), q, k, k, o, lse));
    EXPECT_REFUSED(ops::attention(ctx, {}, segments(3), q, f32({3, 3, 2}), f32({3, 3, 2}), o, lse), "attention: q is fp32 [3, 4, 2]",
                   "4 heads do not share 3");
    EXPECT_REFUSED(ops::attention(ctx, {}, segments(3), q, k, f32({2, 2, 2}), o, lse), "attention: v is fp32 [2, 2, 2], but [3, 2, 2]");
    EXPECT_REFUSED(ops::attention(ctx, {}, segments(3), q, k, k, o, f32({3, 4})), "attention: lse is fp32 [3, 4], but [4, 3] is needed");
    EXPECT_REFUSED(ops::attention(ctx, {}, segments(3), q, k, k, q, lse), "attention: q", "o", "share memory");
    EXPECT_REFUSED(ops::attention(ctx, {1.0, -1, 0.0}, segments(3), q, k, k, o, lse), "attention: window -1");
    const auto dk = f32({3, 2, 2});
    EXPECT_REFUSED(ops::attention_backward(ctx, {}, segments(3), o, q, k, k, o, lse, f32({3, 4, 2}), dk, dk), "dk", "dv", "share memory");
    EXPECT_REFUSED(ops::attention_backward(ctx, {}, segments(3), o, q, f32({4, 2, 2}), f32({4, 2, 2}), o, lse, q, dk, dk),
                   "attention_backward", "as many queries as keys");
}

TEST_F(Checks, Optimizer) {
    const auto x = f32({6});
    EXPECT_REFUSED(ops::sum_of_squares(ctx, f32({4, 4}).columns(0, 2), f64({1})), "sum_of_squares: x", "must be contiguous");
    EXPECT_REFUSED(ops::adamw(ctx, {1, 1, 1, 1, 1, 0}, f64({1}), f32({6}), f32({6}), f32({6}), x), "adamw: step 0");
    EXPECT_REFUSED(ops::adamw(ctx, {1, 1, 1, 1, 1, 1}, f64({1}), f32({5}), f32({6}), f32({6}), x), "adamw: grad is fp32 [5]");
    EXPECT_REFUSED(ops::adamw(ctx, {1, 1, 1, 1, 1, 1}, f64({1}), bf16({6}), bf16({6}), bf16({6}), bf16({6})), "adamw: master is bf16");
    EXPECT_REFUSED(ops::sgd(ctx, {1, 1}, f64({1}), x, x), "sgd: grad", "master", "share memory");
}

// A chunk or a rank without trained tokens runs the same code on zero rows.
TEST_F(Checks, EmptyTensorsAreLegal) {
    const auto none = f32({0, 6});
    const auto loss = f64({1});
    const auto sums = f32({6});
    ops::zero(ctx, none);
    ops::cast(ctx, none, bf16({0, 6}));
    ops::add(ctx, none, none, none);
    ops::axpy(ctx, 2.0, none, none);
    ops::dropout(ctx, {1, 0.5}, i64(0), none, none);
    ops::bias_add(ctx, sums, none);
    ops::bias_backward(ctx, none, sums);
    ops::embedding(ctx, f32({9, 6}), i32(0), none);
    ops::embedding_backward(ctx, none, i32(0), f32({9, 6}));
    ops::gather_rows(ctx, f32({9, 6}), i32(0), none);
    ops::scatter_rows(ctx, none, i32(0), f32({9, 6}));
    ops::rmsnorm(ctx, {}, none, sums, none, f32({0}));
    ops::rmsnorm_backward(ctx, {}, none, none, f32({6}), f32({0}), none, Write::Overwrite, sums);
    ops::rope(ctx, Rotation::Forward, f32({9, 1}), f32({9, 1}), i32(0), f32({0, 3, 2}));
    ops::glu(ctx, Activation::SiLU, none, none, none);
    ops::glu_backward(ctx, Activation::SiLU, none, none, none, none, none);
    ops::cross_entropy(ctx, none, i32(0), loss, none);
    ops::cross_entropy_statistics(ctx, none, i32(0), f32({0, 3}));
    ops::cross_entropy_from_statistics(ctx, none, i32(0), f32({2, 0, 3}), loss, none);
    ops::attention(ctx, {}, segments(0), f32({0, 4, 2}), f32({0, 2, 2}), f32({0, 2, 2}), f32({0, 4, 2}), f32({4, 0}));
    ops::matmul(ctx, none, f32({6, 3}), f32({0, 3}));
    EXPECT_EQ(device.numbers(loss), std::vector<double>{0.5});
    EXPECT_EQ(device.numbers(sums), std::vector<double>(6, 0.5));
}

TEST_F(Checks, MatmulOfAnEmptySumIsZero) {
    const auto c = f32({2, 3});
    ops::matmul(ctx, f32({2, 0}), f32({0, 3}), c, 1.0, Write::Accumulate);
    EXPECT_EQ(device.numbers(c), std::vector<double>(6, 0.5));
    ops::matmul(ctx, f32({2, 0}), f32({0, 3}), c);
    EXPECT_EQ(device.numbers(c), std::vector<double>(6, 0.0));
}

TEST_F(Checks, OverlapOfViews) {
    const auto x = f32({6, 8});
    EXPECT_TRUE(ops::overlap(x, x));
    EXPECT_TRUE(ops::overlap(x.rows(0, 3), x.rows(2, 4)));
    EXPECT_FALSE(ops::overlap(x.rows(0, 3), x.rows(3, 4)));
    EXPECT_FALSE(ops::overlap(x.columns(0, 3), x.columns(3, 8)));
    EXPECT_FALSE(ops::overlap(x.columns(3, 8), x.columns(0, 3)));
    EXPECT_TRUE(ops::overlap(x.columns(0, 4), x.columns(3, 8)));
    EXPECT_TRUE(ops::overlap(x.columns(3, 8), x.columns(0, 4)));
    EXPECT_TRUE(ops::overlap(x.columns(0, 4).rows(1, 5), x.columns(2, 3)));
    EXPECT_FALSE(ops::overlap(x.columns(4, 8).rows(0, 4), x.columns(0, 4).rows(1, 5)));
    EXPECT_FALSE(ops::overlap(x, f32({6, 8})));
    EXPECT_FALSE(ops::overlap(x.rows(2, 2), x));
}

#undef EXPECT_REFUSED

}  // namespace tandem::test
