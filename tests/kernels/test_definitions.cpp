// The forward of each reference op against its formula written a second time, or against values of another program.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "kernels/base/philox.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/glu.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rmsnorm.h"
#include "kernels/ops/rope.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

void expect_near(const std::vector<double>& found, const std::vector<double>& expected, double bound = 1e-14) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], bound) << "element " << i;
}

double bf16(double x) { return static_cast<double>(static_cast<float>(BFloat16(static_cast<float>(x)))); }

}  // namespace

TEST(Definitions, Matmul) {
    Device device;
    const auto a = device.tensor({2, 3}, DType::F64, {1, 2, 3, 4, 5, 6});
    const auto b = device.tensor({3, 2}, DType::F64, {7, 8, 9, 10, 11, 12});
    const auto c = device.filled({2, 2}, DType::F64, 1.0);
    ops::matmul(device.context(), a, b, c);
    expect_near(device.numbers(c), {58, 64, 139, 154});
    ops::matmul(device.context(), transposed(b), transposed(a), c, 0.5, Write::Accumulate);
    expect_near(device.numbers(c), {58 + 29, 64 + 69.5, 139 + 32, 154 + 77});
}

TEST(Definitions, MatmulRoundsSumsOnce) {
    Device device;
    // 1 + 2^-8 is a tie in bf16 and 2^-30 vanishes in fp32: only a sum in double that is rounded once goes up.
    const auto a = device.tensor({1, 3}, DType::BF16, {1.0, 0x1p-8, 0x1p-30});
    const auto c = device.filled({1, 1}, DType::BF16, 0.0);
    ops::matmul(device.context(), a, device.filled({3, 1}, DType::BF16, 1.0), c);
    EXPECT_EQ(device.numbers(c)[0], 1.0 + 0x1p-7);
}

TEST(Definitions, MatmulBias) {
    Device device;
    const auto a = device.tensor({2, 3}, DType::F64, {1, 2, 3, 4, 5, 6});
    const auto b = device.tensor({2, 3}, DType::F64, {7, 9, 11, 8, 10, 12});
    const auto bias = device.tensor({2}, DType::F64, {0.5, -1}), c = device.filled({2, 2}, DType::F64, 1.0);
    ops::matmul_bias(device.context(), {a}, transposed(b), bias, c);
    expect_near(device.numbers(c), {58.5, 63, 139.5, 153});
    ops::matmul_bias(device.context(), {a.columns(0, 0)}, transposed(b.columns(0, 0)), bias, c);  // an empty sum
    expect_near(device.numbers(c), {0.5, -1, 0.5, -1});
}

TEST(Definitions, RmsNorm) {
    Device device;
    const auto x = device.tensor({1, 2}, DType::F64, {3, -4});
    const auto w = device.tensor({2}, DType::F64, {0.5, 2});
    const auto y = device.filled({1, 2}, DType::F64, 0);
    const auto rstd = device.filled({1}, DType::F64, 0);
    const double r = 1.0 / std::sqrt(12.5 + 1e-5);
    ops::rmsnorm(device.context(), {1e-5, 0.0}, x, w, y, rstd);
    expect_near(device.numbers(rstd), {r});
    expect_near(device.numbers(y), {3 * r * 0.5, -4 * r * 2});
    ops::rmsnorm(device.context(), {1e-5, 1.0}, x, w, y, {});
    expect_near(device.numbers(y), {3 * r * 1.5, -4 * r * 3});
}

// transformers: LlamaRMSNorm multiplies weight with the normalised value in the input's type; Gemma's rounds once, at the end.
TEST(Definitions, RmsNormRoundsBeforeTheWeightOnlyWithoutOffset) {
    Device device;
    const auto x = device.random({1, 64}, DType::BF16, 1);
    const auto w = device.random({64}, DType::BF16, 2);
    const auto y = device.filled({1, 64}, DType::BF16, 0);
    const auto in = device.numbers(x);
    const auto weight = device.numbers(w);
    double squares = 0.0;
    for (const double v : in) squares += v * v;
    const double r = 1.0 / std::sqrt(squares / 64 + 1e-6);
    std::vector<double> llama, gemma;
    int different = 0;
    for (std::size_t j = 0; j < in.size(); ++j) {
        llama.push_back(bf16(bf16(in[j] * r) * weight[j]));
        gemma.push_back(bf16(in[j] * r * (1.0 + weight[j])));
        different += llama.back() != bf16(in[j] * r * weight[j]);
    }
    ASSERT_GT(different, 5) << "the case does not tell the two roundings apart";
    ops::rmsnorm(device.context(), {1e-6, 0.0}, x, w, y, {});
    expect_near(device.numbers(y), llama, 0.0);
    ops::rmsnorm(device.context(), {1e-6, 1.0}, x, w, y, {});
    expect_near(device.numbers(y), gemma, 0.0);
}

TEST(Definitions, RopeIsARotationOfPairsByThePositionsAngle) {
    Device device;
    const std::vector<double> angles = {0.0, 0.0, 0.3, 0.7, 0.6, 1.4};  // [3 positions, 2 pairs]
    std::vector<double> cosine, sine;
    for (const double a : angles) cosine.push_back(std::cos(a)), sine.push_back(std::sin(a));
    const auto x = device.random({2, 1, 5}, DType::F64, 3);  // the fifth element is not rotated
    const auto in = device.numbers(x);
    const auto cos = device.tensor({3, 2}, DType::F64, cosine);
    const auto sin = device.tensor({3, 2}, DType::F64, sine);
    const auto positions = device.tensor({2}, DType::I32, {2, 1});
    std::vector<double> expected = in;
    for (std::size_t i = 0; i < 2; ++i) {
        for (std::size_t j = 0; j < 2; ++j) {
            const auto z = std::complex<double>(in[i * 5 + j], in[i * 5 + j + 2]) * std::polar(1.0, angles[(i == 0 ? 2 : 1) * 2 + j]);
            expected[i * 5 + j] = z.real();
            expected[i * 5 + j + 2] = z.imag();
        }
    }
    ops::rope(device.context(), Rotation::Forward, cos, sin, positions, x);
    expect_near(device.numbers(x), expected);
    ops::rope(device.context(), Rotation::Backward, cos, sin, positions, x);  // the transpose of a rotation is its inverse
    expect_near(device.numbers(x), in);
}

// torch.nn.functional.silu and gelu(approximate="tanh") in float64.
TEST(Definitions, Glu) {
    Device device;
    const auto gate = device.tensor({1, 3}, DType::F64, {-2.0, 0.5, 1.0});
    const auto up = device.tensor({1, 3}, DType::F64, {1.0, 2.0, -1.0});
    const auto y = device.filled({1, 3}, DType::F64, 0);
    ops::glu(device.context(), Activation::SiLU, gate, up, y);
    expect_near(device.numbers(y), {-0.2384058440442351, 2 * 0.3112296656009273, -0.7310585786300049});
    ops::glu(device.context(), Activation::GeluTanh, gate, up, y);
    expect_near(device.numbers(y), {-0.04540230591222494, 2 * 0.34571400982514394, -0.8411919906082768});
}

// torch.nn.functional.cross_entropy(reduction="sum") in float64.
TEST(Definitions, CrossEntropy) {
    Device device;
    const auto logits = device.tensor({2, 3}, DType::F64, {1, 2, 3, 0, -1, 4});
    const auto labels = device.tensor({2}, DType::I32, {2, 0});
    const auto loss = device.filled({1}, DType::F64, 10.0);
    const auto gradient = device.filled({2, 3}, DType::F64, 0);
    ops::cross_entropy(device.context(), logits, labels, loss, gradient);
    expect_near(device.numbers(loss), {10.0 + 4.432350854583203});
    expect_near(device.numbers(gradient), {0.09003057317038043, 0.24472847105479764, -0.3347590442251782, -0.9821320181296955,
                                           0.006573263185309085, 0.9755587549443865});
}

namespace {

struct LossAndGradient {
    double loss;
    std::vector<double> gradient;
};

/// The two ops of a vocabulary cut at `starts` (ascending, from 0 to the vocabulary).
LossAndGradient in_parts(Device& device, const Tensor& logits, const std::vector<double>& labels, const std::vector<std::int64_t>& starts) {
    const auto n = logits.extent(0);
    const auto parts = static_cast<std::int64_t>(starts.size()) - 1;
    const auto statistics = device.filled({parts, n, 3}, logits.dtype(), 0.0);
    const auto gradient = device.filled(logits.shape(), logits.dtype(), 0.0);
    std::vector<Tensor> local;
    for (std::int64_t k = 0; k < parts; ++k) {
        const auto first = starts[static_cast<std::size_t>(k)], last = starts[static_cast<std::size_t>(k) + 1];
        std::vector<double> own;
        for (const double label : labels) {
            const bool here = label >= static_cast<double>(first) && label < static_cast<double>(last);
            own.push_back(here ? label - static_cast<double>(first) : -1.0);
        }
        local.push_back(device.tensor({n}, DType::I32, own));
        ops::cross_entropy_statistics(device.context(), logits.columns(first, last), local.back(),
                                      statistics.rows(k, k + 1).reshape({n, 3}));
    }
    std::vector<double> losses;
    for (std::int64_t k = 0; k < parts; ++k) {
        const auto first = starts[static_cast<std::size_t>(k)], last = starts[static_cast<std::size_t>(k) + 1];
        const auto loss = device.filled({1}, DType::F64, 10.0);
        ops::cross_entropy_from_statistics(device.context(), logits.columns(first, last), local[static_cast<std::size_t>(k)], statistics,
                                           loss, gradient.columns(first, last));
        losses.push_back(device.numbers(loss)[0]);
        EXPECT_EQ(losses.back(), losses.front()) << "every part knows the whole loss";
    }
    return {losses.front(), device.numbers(gradient)};
}

void expect_parts_equal_the_whole(Device& device, DType type, double bound) {
    const auto logits = device.random({6, 1300}, type, 9);
    const std::vector<double> labels = {0, 1299, 640, 641, 3, 1030};
    const auto loss = device.filled({1}, DType::F64, 10.0);
    const auto whole = device.filled(logits.shape(), type, 0.0);
    ops::cross_entropy(device.context(), logits, device.tensor({6}, DType::I32, labels), loss, whole);
    for (const auto& starts : {std::vector<std::int64_t>{0, 1300}, {0, 641, 1300}, {0, 1, 1030, 1300}, {0, 1299, 1300}}) {
        const auto parts = in_parts(device, logits, labels, starts);
        EXPECT_NEAR(parts.loss, device.numbers(loss)[0], bound * 60) << "a sum of six losses near 8";
        expect_near(parts.gradient, device.numbers(whole), bound);
    }
}

}  // namespace

// Statistics by hand: row 0 has its label in this part, row 1 elsewhere.
TEST(Definitions, CrossEntropyStatistics) {
    Device device;
    const auto logits = device.tensor({2, 3}, DType::F64, {1, 2, 3, 0, -1, 4});
    const auto statistics = device.filled({2, 3}, DType::F64, 7.0);
    ops::cross_entropy_statistics(device.context(), logits, device.tensor({2}, DType::I32, {1, -1}), statistics);
    expect_near(device.numbers(statistics), {3, std::exp(-2.0) + std::exp(-1.0) + 1, 2, 4, std::exp(-4.0) + std::exp(-5.0) + 1, 0});
}

TEST(Definitions, CrossEntropyOfPartsIsThatOfTheWhole) {
    Device reference, cpu(make_cpu_backend(2));
    expect_parts_equal_the_whole(reference, DType::F64, 1e-13);
    expect_parts_equal_the_whole(reference, DType::F32, 2e-6);
    expect_parts_equal_the_whole(cpu, DType::F32, 2e-6);
}

TEST(Definitions, EmbeddingOfAnIdElsewhereIsZero) {
    Device device;
    const auto table = device.tensor({2, 2}, DType::F64, {1, 2, 3, 4});
    const auto ids = device.tensor({3}, DType::I32, {1, -1, 0});
    const auto y = device.filled({3, 2}, DType::F64, 9.0);
    ops::embedding(device.context(), table, ids, y);
    expect_near(device.numbers(y), {3, 4, 0, 0, 1, 2});
    const auto gradient = device.filled({2, 2}, DType::F64, 1.0);
    ops::embedding_backward(device.context(), device.tensor({3, 2}, DType::F64, {10, 20, 30, 40, 50, 60}), ids, gradient);
    expect_near(device.numbers(gradient), {51, 61, 11, 21});
}

TEST(Definitions, DropoutIsAFunctionOfKeyRowAndColumn) {
    Device device;
    constexpr double p = 0.3;
    const DropoutMask mask{42, p};
    const auto x = device.filled({40, 50}, DType::F64, 1.0);
    std::vector<double> ids;
    for (int i = 0; i < 40; ++i) ids.push_back(1e12 + 3.0 * i);
    const auto row_ids = device.tensor({40}, DType::I64, ids);
    const auto y = device.filled({40, 50}, DType::F64, 0);
    ops::dropout(device.context(), mask, row_ids, x, y);
    const auto all = device.numbers(y);
    double kept = 0.0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto word = philox(42, static_cast<std::uint64_t>(ids[i / 50]), i % 50 / 4)[i % 50 % 4];
        ASSERT_EQ(all[i], uniform01(word) >= 0.3F ? 1.0 / 0.7 : 0.0) << i;
        kept += all[i] > 0.0;
    }
    EXPECT_NEAR(kept / 2000.0, 0.7, 0.04);  // four standard errors

    // The same rows as a part of another batch.
    const auto part = device.filled({7, 50}, DType::F64, 0);
    ops::dropout(device.context(), mask, row_ids.rows(20, 27), x.rows(0, 7), part);
    EXPECT_EQ(device.numbers(part), std::vector<double>(all.begin() + 20 * 50, all.begin() + 27 * 50));
    // The same columns as a slice of them.
    const auto columns = device.filled({40, 13}, DType::F64, 0);
    ops::dropout(device.context(), {42, p, 30}, row_ids, x.columns(0, 13), columns);
    const auto sliced = device.numbers(columns);
    for (std::size_t i = 0; i < sliced.size(); ++i) ASSERT_EQ(sliced[i], all[i / 13 * 50 + 30 + i % 13]) << i;
    ops::dropout(device.context(), {43, p}, row_ids, x, y);
    EXPECT_NE(device.numbers(y), all);
}

}  // namespace tandem::test
