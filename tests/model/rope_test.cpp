// Inverse frequencies against values computed with transformers 5.23 (ROPE_INIT_FUNCTIONS, head_dim 8, theta 10000).
#include "src/model/rope.h"

#include <gtest/gtest.h>

namespace tandem::test {
namespace {

RopeConfig base() {
    RopeConfig r;
    r.theta = 10000;
    r.rotated = 8;
    return r;
}

void expect_inverse(const RopeConfig& rope, const std::vector<double>& expected) {
    const auto got = rope_frequencies(rope).inverse;
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(got[i], expected[i], 2e-7 * expected[i]) << i;
}

TEST(Rope, Default) { expect_inverse(base(), {1.0, 0.1, 0.01, 0.001}); }

TEST(Rope, Linear) {
    RopeConfig r = base();
    r.kind = RopeKind::Linear;
    r.factor = 4;
    expect_inverse(r, {0.25, 0.0250000004, 0.00249999994, 0.000250000012});
}

TEST(Rope, Llama3KeepsBlendsAndStretches) {
    RopeConfig r = base();
    r.kind = RopeKind::Llama3;
    r.factor = 8;
    r.low_frequency_factor = 1;
    r.high_frequency_factor = 4;
    r.original_positions = 200;
    expect_inverse(r, {1.0, 0.0761737153, 0.00124999997, 0.000125000006});
}

TEST(Rope, YarnBlendsByDimensionAndScalesTheAngles) {
    RopeConfig r = base();
    r.kind = RopeKind::Yarn;
    r.factor = 4;
    r.original_positions = 512;
    expect_inverse(r, {1.0, 0.0625, 0.00249999994, 0.000250000012});
    EXPECT_NEAR(rope_frequencies(r).attention_factor, 1.138629436111989, 1e-12);
}

TEST(Rope, PartialRotationHasFewerFrequencies) {
    RopeConfig r = base();
    r.rotated = 4;
    expect_inverse(r, {1.0, 0.01});
}

}  // namespace
}  // namespace tandem::test
