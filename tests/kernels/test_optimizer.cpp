// Norm, clipping and updates against torch.optim and against the formulas.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops/optimizer.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-15) << "element " << i;
}

}  // namespace

// torch.nn.utils.clip_grad_norm_(max_norm = 1) and torch.optim.AdamW(lr = 0.01, betas = (0.9, 0.99), weight_decay = 0.1) on
// gradients t (0.1, -0.2, 0, 3), in float64. Here the gradients are sums over 4 tokens.
TEST(Optimizer, ThreeStepsOfClippedAdamWAsInTorch) {
    Device device;
    const auto p = device.tensor({4}, DType::F64, {1.0, -2.0, 0.5, 0.0});
    const auto m = device.filled({4}, DType::F64, 0);
    const auto v = device.filled({4}, DType::F64, 0);
    const auto norm = device.filled({1}, DType::F64, 0);
    const auto scale = device.filled({1}, DType::F64, 0);
    const double norms[] = {3.0083217912982647, 6.016643582596529, 9.024965373894794};
    const std::vector<double> parameters[] = {{0.9890000030083219, -1.9880000015041612, 0.4995, -0.009999999899722575},
                                              {0.978011005974073, -1.9760120029672559, 0.4990005, -0.019989999839107694},
                                              {0.9670329979068344, -1.9640359923988635, 0.4985014995, -0.029970009808577183}};
    for (int t = 1; t <= 3; ++t) {
        const auto grad = device.tensor({4}, DType::F64, {0.4 * t, -0.8 * t, 0.0, 12.0 * t});
        const auto sum = device.filled({1}, DType::F64, 0);
        ops::sum_of_squares(device.context(), grad, sum);
        ops::clip_scale(device.context(), sum, 1.0, 0.25, norm, scale);
        ops::adamw(device.context(), {0.01, 0.9, 0.99, 1e-8, 0.1, t}, scale, grad, m, v, p);
        expect_near(device.numbers(norm), {norms[t - 1]});
        expect_near(device.numbers(p), parameters[t - 1]);
    }
    expect_near(device.numbers(m), {0.009008343050923032, -0.018016686101846063, 0.0, 0.2702502915276909});
    expect_near(device.numbers(v), {3.281877124545067e-05, 0.0001312750849818027, 0.0, 0.029536894120905596});
}

// torch.optim.SGD(lr = 0.01, weight_decay = 0.1).
TEST(Optimizer, SgdAsInTorch) {
    Device device;
    const auto p = device.tensor({3}, DType::F64, {1.0, -2.0, 0.5});
    const auto grad = device.tensor({3}, DType::F64, {0.2, -0.4, 0.6});
    ops::sgd(device.context(), {0.01, 0.1}, device.filled({1}, DType::F64, 0.5), grad, p);
    expect_near(device.numbers(p), {0.998, -1.996, 0.4965});
}

TEST(Optimizer, ClipScale) {
    Device device;
    const auto norm = device.filled({1}, DType::F64, 0);
    const auto scale = device.filled({1}, DType::F64, 0);
    const auto clip = [&](double sum, double max_norm, double inverse_tokens) {
        ops::clip_scale(device.context(), device.filled({1}, DType::F64, sum), max_norm, inverse_tokens, norm, scale);
        return std::pair{device.numbers(norm)[0], device.numbers(scale)[0]};
    };
    EXPECT_EQ(clip(400.0, 0.0, 0.5), (std::pair{10.0, 0.5}));   // no clipping asked for
    EXPECT_EQ(clip(400.0, 11.0, 0.5), (std::pair{10.0, 0.5}));  // below the limit
    const auto [n, s] = clip(400.0, 2.0, 0.5);
    EXPECT_EQ(n, 10.0);
    EXPECT_DOUBLE_EQ(s, 0.5 * 2.0 / (10.0 + 1e-6));
    EXPECT_EQ(clip(0.0, 1.0, 0.5), (std::pair{0.0, 0.5}));
    EXPECT_TRUE(std::isnan(clip(NAN, 1.0, 0.5).first));
}

TEST(Optimizer, SumOfSquaresAddsInDouble) {
    Device device;
    const auto sum = device.filled({1}, DType::F64, 1.0);
    ops::sum_of_squares(device.context(), device.filled({100}, DType::BF16, 0x1p-20), sum);
    EXPECT_EQ(device.numbers(sum)[0], 1.0 + 100 * 0x1p-40);  // lost in fp32
}

}  // namespace tandem::test
