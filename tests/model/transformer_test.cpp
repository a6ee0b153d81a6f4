// The whole model's forward and backward, against itself run in other ways and against finite differences.
#include "src/model/decoder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/model/head.h"
#include "tests/model/tiny_model.h"

namespace tandem::test {
namespace {

const TinyBatch kPacked({{3, 7, 1, 30, 4}, {9, 2, 8}, {5, 6, 0, 11, 12, 13, 14}});

struct Case {
    const char* label;
    const char* family;
    bool tied, lora;
};

class Gradients : public testing::TestWithParam<Case> {};

/// Every parameter's gradient along a fixed direction, against a central difference.
TEST_P(Gradients, MatchFiniteDifferences) {
    const Case c = GetParam();
    auto config = tiny_config(c.family);
    config["tie_word_embeddings"] = c.tied;
    LoraConfig lora;
    lora.r = 2;
    lora.alpha = 3;
    TinyModel tiny(config, c.lora ? Trained::Adapter : Trained::Everything, c.lora ? &lora : nullptr);
    tiny.train(kPacked);
    int checked = 0;
    for (const Parameter& p : tiny.model->parameters()) {
        if (!p.trainable) continue;
        ++checked;
        double expected = 0;
        const auto direction = [](std::int64_t i) { return std::cos(1.3 * static_cast<double>(i) + 0.4); };
        const auto move = [&](double h) {
            for (std::int64_t i = 0; i < p.weight.elements(); ++i) TinyModel::nudge(p, i, h * direction(i));
        };
        for (std::int64_t i = 0; i < p.weight.elements(); ++i) expected += p.gradient.data<double>()[i] * direction(i);
        constexpr double h = 1e-4;
        double f[4];
        const double at[4] = {-2 * h, -h, h, 2 * h};
        double moved = 0;
        for (int k = 0; k < 4; ++k) {
            move(at[k] - moved);
            moved = at[k];
            f[k] = tiny.evaluate(kPacked);
        }
        move(-moved);
        const double numeric = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
        EXPECT_NEAR(expected, numeric, 1e-6 * (std::abs(numeric) + 1)) << p.name;
    }
    EXPECT_GT(checked, 10);
}

INSTANTIATE_TEST_SUITE_P(Families, Gradients,
                         testing::Values(Case{"llama", "llama", false, false}, Case{"llama_tied", "llama", true, false},
                                         Case{"llama_lora", "llama", true, true}, Case{"mistral_window", "mistral", false, false},
                                         Case{"qwen2_bias", "qwen2", false, false}, Case{"qwen3_qk_norm", "qwen3", false, false},
                                         Case{"qwen3_lora", "qwen3", false, true}),
                         [](const auto& test) { return std::string(test.param.label); });

TEST(Transformer, RecomputeGivesTheSameBits) {
    TinyModel tiny(tiny_config("llama"), Trained::Everything);
    const double kept = tiny.train(kPacked, ActivationPolicy::Keep);
    std::vector<std::vector<double>> gradients;
    for (const Parameter& p : tiny.model->parameters()) {
        gradients.emplace_back(p.gradient.data<double>(), p.gradient.data<double>() + p.gradient.elements());
    }
    EXPECT_EQ(kept, tiny.train(kPacked, ActivationPolicy::Recompute));
    for (std::size_t i = 0; i < gradients.size(); ++i) {
        const Parameter& p = tiny.model->parameters()[i];
        EXPECT_EQ(gradients[i], std::vector<double>(p.gradient.data<double>(), p.gradient.data<double>() + p.gradient.elements()))
            << p.name;
    }
}

TEST(Transformer, PackedEqualsApart) {
    TinyModel tiny(tiny_config("llama"), Trained::Nothing);
    const double together = tiny.evaluate(kPacked);
    const double apart = tiny.evaluate(TinyBatch({{3, 7, 1, 30, 4}})) + tiny.evaluate(TinyBatch({{9, 2, 8}})) +
                         tiny.evaluate(TinyBatch({{5, 6, 0, 11, 12, 13, 14}}));
    EXPECT_NEAR(together, apart, 1e-11 * together);
}

TEST(Transformer, FreshAdapterChangesNothing) {
    const auto config = tiny_config("llama");
    TinyModel plain(config, Trained::Nothing);
    LoraConfig lora;
    TinyModel adapted(config, Trained::Adapter, &lora);
    for (Parameter& p : adapted.model->parameters()) {
        if (!p.name.ends_with("lora_B.weight")) continue;
        std::fill_n(p.weight.data<double>(), p.weight.elements(), 0.0);
    }
    EXPECT_NEAR(plain.evaluate(kPacked), adapted.evaluate(kPacked), 1e-11);
}

TEST(Transformer, DropoutActsInTrainingAloneAndIsAFunctionOfTheRow) {
    LoraConfig lora;
    lora.r = 2;
    lora.dropout = 0.5;
    TinyModel tiny(tiny_config("llama"), Trained::Adapter, &lora);
    const double evaluated = tiny.evaluate(kPacked);
    const double trained = tiny.train(kPacked);
    EXPECT_NE(evaluated, trained);
    EXPECT_EQ(trained, tiny.train(kPacked));
    EXPECT_EQ(evaluated, tiny.evaluate(kPacked));
}

TEST(Transformer, DecodingWithACacheEqualsTheWholeSequence) {
    for (const char* family : {"llama", "mistral", "qwen3"}) {
        TinyModel tiny(tiny_config(family), Trained::Nothing);
        const std::vector<std::int32_t> ids = {3, 7, 1, 30, 4, 9, 2, 8, 5};
        const auto whole = all_logits(*tiny.model, TinyBatch({ids}).view());
        Decoder decoder(*tiny.model, *tiny.self, 16);
        // A prompt of four at once, then one by one.
        auto logits = decoder.next(std::span(ids).first(4));
        for (std::size_t n = 4; n <= ids.size(); ++n) {
            for (std::size_t j = 0; j < 31; ++j) EXPECT_NEAR(logits[j], whole[(n - 1) * 31 + j], 1e-4) << family << " " << n << " " << j;
            if (n < ids.size()) logits = decoder.next(std::span(ids).subspan(n, 1));
        }
    }
}

TEST(Transformer, AnIdOutsideTheVocabularyIsNamed) {
    TinyModel tiny(tiny_config("llama"), Trained::Nothing);
    try {
        tiny.evaluate(TinyBatch({{3, 31, 4}}));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Input);
        EXPECT_NE(std::string(error.what()).find("31"), std::string::npos);
    }
}

TEST(Head, AChunkOfLogitsHasRowsEnoughForAPassOverTheVocabulary) {
    EXPECT_EQ(Head::chunk_rows(4 * 32000), 524);
    EXPECT_EQ(Head::chunk_rows(4 * 128256), 256);  // 130 are 64 MiB
}

TEST(Transformer, UntrainedPositionsDoNotCount) {
    TinyModel tiny(tiny_config("llama"), Trained::Everything);
    TinyBatch masked({{3, 7, 1, 30, 4}});
    masked.targets = {-100, -100, -100, -100, -100};
    EXPECT_EQ(tiny.train(masked), 0.0);
    for (const Parameter& p : tiny.model->parameters()) {
        for (std::int64_t i = 0; i < p.gradient.elements(); ++i) ASSERT_EQ(p.gradient.data<double>()[i], 0.0) << p.name;
    }
}

}  // namespace
}  // namespace tandem::test
