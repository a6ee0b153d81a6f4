// Choosing the next token.
#include "src/model/generate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "tests/model/tiny_model.h"

namespace tandem::test {
namespace {

const std::vector<float> kLogits = {0.0F, 2.0F, 1.0F, -3.0F};

TEST(Generate, GreedyTakesTheLargest) { EXPECT_EQ(pick_token(kLogits, {}, 0), 1); }

TEST(Generate, SamplingFollowsTheSoftmax) {
    GenerateSettings s;
    s.temperature = 1;
    std::map<std::int32_t, int> counts;
    constexpr int kDraws = 20000;
    for (int i = 0; i < kDraws; ++i) ++counts[pick_token(kLogits, s, static_cast<std::uint64_t>(i))];
    double sum = 0;
    for (const float z : kLogits) sum += std::exp(static_cast<double>(z));
    for (std::int32_t t = 0; t < 4; ++t) {
        EXPECT_NEAR(counts[t] / static_cast<double>(kDraws), std::exp(static_cast<double>(kLogits[static_cast<std::size_t>(t)])) / sum,
                    0.015)
            << t;
    }
}

TEST(Generate, TopPKeepsTheSmallestSetThatReachesIt) {
    GenerateSettings s;
    s.temperature = 1;
    s.top_p = 0.7;  // token 1 has 0.66, token 2 the next 0.24
    for (std::uint64_t i = 0; i < 500; ++i) {
        const auto t = pick_token(kLogits, s, i);
        EXPECT_TRUE(t == 1 || t == 2);
    }
    s.top_p = 0.6;
    for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(pick_token(kLogits, s, i), 1);
}

TEST(Generate, ASeedGivesTheSameDraws) {
    GenerateSettings a, b;
    a.temperature = b.temperature = 1;
    b.seed = 43;
    int differ = 0;
    for (std::uint64_t i = 0; i < 200; ++i) {
        EXPECT_EQ(pick_token(kLogits, a, i), pick_token(kLogits, a, i));
        differ += pick_token(kLogits, a, i) != pick_token(kLogits, b, i);
    }
    EXPECT_GT(differ, 20);
}

TEST(Generate, NonFiniteLogitsAreAnError) {
    const std::vector<float> bad = {0.0F, std::numeric_limits<float>::quiet_NaN()};
    const std::vector<float> infinite = {0.0F, std::numeric_limits<float>::infinity()};
    EXPECT_NO_THROW(require_finite(kLogits, DType::F16));
    for (const auto& logits : {bad, infinite}) {
        for (const DType dtype : {DType::BF16, DType::F16}) {
            try {
                require_finite(logits, dtype);
                ADD_FAILURE() << "nothing was thrown";
            } catch (const Error& error) {
                EXPECT_EQ(error.failure(), Failure::Diverged);
                const std::string said = error.what();
                EXPECT_NE(said.find("logits are not finite"), std::string::npos) << said;
                EXPECT_EQ(said.find("fp16 overflowed") != std::string::npos, dtype == DType::F16) << said;
            }
        }
    }
}

TEST(Generate, StopsAtAStopTokenAndAtTheLimit) {
    TinyModel tiny(tiny_config("llama"), Trained::Nothing);
    const std::vector<std::int32_t> prompt = {3, 7, 1};
    GenerateSettings s;
    s.max_new_tokens = 6;
    const auto run = [&] {
        Decoder decoder(*tiny.model, *tiny.self, 16);
        return generate(decoder, prompt, s);
    };
    const auto free = run();
    ASSERT_EQ(free.size(), 6U);
    s.stop = {free[3]};
    const auto first = std::find(free.begin(), free.end(), free[3]);
    const auto stopped = run();
    EXPECT_EQ(stopped, std::vector<std::int32_t>(free.begin(), first));
}

}  // namespace
}  // namespace tandem::test
