// Clipping, AdamW, SGD and decay over buckets, against the formulas of torch.optim.
#include "src/engine/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/tiny_state.h"

namespace tandem::test {
namespace {

constexpr double kElements = 12 + 5 + 7;

TEST(Optimizer, NormIsThatOfTheMeanGradientOverAllParametersBeforeClipping) {
    TinyState t;
    t.set_gradients(3.0F);
    t.optimizer->step(t.ctx, 0.1, 10, 1);
    EXPECT_NEAR(t.optimizer->norm(t.ctx), std::sqrt(kElements) * 0.3, 1e-6);
}

TEST(Optimizer, FirstAdamWStep) {
    OptimizerSection s;
    s.max_grad_norm = 0;
    s.weight_decay = 0.5;
    s.eps = 1e-3;
    TinyState t(s);
    t.set_gradients(4.0F);
    t.optimizer->step(t.ctx, 0.01, 2, 1);  // g = 2; the first step's bias-corrected moments are g and g^2
    const double expected = 1.0 * (1 - 0.01 * 0.5) - 0.01 * 2.0 / (2.0 + 1e-3);
    EXPECT_NEAR(static_cast<double>(t.get(0, StatePart::Master)[5]), expected, 1e-6);
    EXPECT_NEAR(static_cast<double>(t.get(0, StatePart::FirstMoment)[0]), 0.2, 1e-6);
    EXPECT_NEAR(static_cast<double>(t.get(0, StatePart::SecondMoment)[0]), 0.004, 1e-8);
    EXPECT_EQ(t.table[0].weight.data<float>()[5], t.get(0, StatePart::Master)[5]);  // compute copies follow
}

TEST(Optimizer, ClippingScalesByTheNorm) {
    OptimizerSection s;
    s.name = OptimizerName::Sgd;
    s.max_grad_norm = 0.5;
    TinyState t(s);
    t.set_gradients(2.0F);
    t.optimizer->step(t.ctx, 1.0, 1, 1);
    const double norm = 2 * std::sqrt(kElements);
    EXPECT_NEAR(static_cast<double>(t.get(1, StatePart::Master)[0]), 2.0 - 2.0 * 0.5 / (norm + 1e-6), 1e-6);
}

TEST(Optimizer, NoDecayExemptsNormsAndBiases) {
    OptimizerSection s;
    s.name = OptimizerName::Sgd;
    s.weight_decay = 0.1;
    s.no_decay_norms = true;
    TinyState t(s);
    t.optimizer->step(t.ctx, 1.0, 1, 1);  // zero gradients: decay alone moves
    EXPECT_NEAR(static_cast<double>(t.get(0, StatePart::Master)[0]), 0.9, 1e-6);
    EXPECT_NEAR(static_cast<double>(t.get(1, StatePart::Master)[0]), 1.8, 1e-6);
    EXPECT_EQ(t.get(2, StatePart::Master)[0], 3.0F);
}

TEST(Optimizer, NonFiniteGradientsAreSeen) {
    TinyState t;
    t.set_gradients(1.0F);
    t.optimizer->measure(t.ctx);
    EXPECT_TRUE(t.optimizer->gradients_finite(t.ctx));
    t.table[2].gradient.data<float>()[6] = std::nanf("");
    t.optimizer->measure(t.ctx);
    EXPECT_FALSE(t.optimizer->gradients_finite(t.ctx));
}

}  // namespace
}  // namespace tandem::test
