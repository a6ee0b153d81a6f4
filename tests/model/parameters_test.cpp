// Names, shapes and targets of parameters.
#include "src/model/parameters.h"

#include <gtest/gtest.h>

#include "src/model/weights.h"
#include "tests/model/tiny_model.h"

namespace tandem::test {
namespace {

ModelConfig tiny() { return parse_model_config(tiny_config("llama"), "c"); }

TEST(Parameters, AreListedInForwardOrderWithHuggingFaceNames) {
    const ParamTable t = list_parameters(tiny(), Trained::Everything, nullptr);
    ASSERT_EQ(t.size(), 1U + 2U * 9U + 2U);
    EXPECT_EQ(t.front().name, "model.embed_tokens.weight");
    EXPECT_EQ(t[1].name, "model.layers.0.input_layernorm.weight");
    EXPECT_EQ(t[2].name, "model.layers.0.self_attn.q_proj.weight");
    EXPECT_EQ(t[3].global, (Shape{8, 16}));
    EXPECT_EQ(t.back().name, "lm_head.weight");
    EXPECT_EQ(t.back().bucket, 3);
    for (const Parameter& p : t) EXPECT_TRUE(p.trainable) << p.name;
}

TEST(Parameters, ATiedHeadIsTheEmbedding) {
    auto j = tiny_config("llama");
    j["tie_word_embeddings"] = true;
    EXPECT_EQ(find_parameter(list_parameters(parse_model_config(j, "c"), Trained::Everything, nullptr), "lm_head.weight"), -1);
}

TEST(Parameters, AdaptersGetPeftNamesAndAloneAreTrained) {
    LoraConfig lora;
    lora.r = 4;
    lora.target_modules = {"q_proj", "layers.1.mlp.down_proj"};
    const ParamTable t = list_parameters(tiny(), Trained::Adapter, &lora);
    std::vector<std::string> trained;
    for (const Parameter& p : t) {
        if (p.trainable) trained.push_back(p.name);
    }
    EXPECT_EQ(trained, (std::vector<std::string>{"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
                                                 "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight",
                                                 "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight",
                                                 "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight",
                                                 "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight",
                                                 "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"}));
    EXPECT_EQ(adapted_modules(t), (std::vector<std::string>{"down_proj", "q_proj"}));
}

TEST(Parameters, AnUnknownTargetIsAConfigurationErrorThatListsWhatThereIs) {
    LoraConfig lora;
    lora.target_modules = {"q_proj", "query"};
    try {
        list_parameters(tiny(), Trained::Adapter, &lora);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Configuration);
        EXPECT_NE(std::string(error.what()).find("'query'"), std::string::npos);
        EXPECT_NE(std::string(error.what()).find("down_proj"), std::string::npos);
    }
}

TEST(RandomSource, ElementsAreFunctionsOfNameAndIndexAlone) {
    const RandomSource source(tiny(), 5);
    const ParamTable t = list_parameters(tiny(), Trained::Everything, nullptr);
    const Parameter& p = t[2];
    std::vector<double> whole(16 * 16), part(16 * 3);
    source.read(p, p.box, DType::F64, reinterpret_cast<std::byte*>(whole.data()));
    source.read(p, {{5, 0}, {3, 16}}, DType::F64, reinterpret_cast<std::byte*>(part.data()));
    for (std::size_t i = 0; i < part.size(); ++i) EXPECT_EQ(part[i], whole[5 * 16 + i]);
    double squares = 0;
    for (const double x : whole) squares += x * x;
    EXPECT_NEAR(std::sqrt(squares / 256), 0.3, 0.05);  // initializer_range
}

TEST(RandomSource, FreshFactorsAreThoseOfPeft) {
    LoraConfig lora;
    const ParamTable t = list_parameters(tiny(), Trained::Adapter, &lora);
    const RandomSource source(tiny(), 5);
    for (const Parameter& p : t) {
        if (!is_adapter_tensor(p.name)) continue;
        std::vector<double> values(static_cast<std::size_t>(p.global.elements()));
        source.read(p, p.box, DType::F64, reinterpret_cast<std::byte*>(values.data()));
        const double bound = p.name.ends_with("lora_A.weight") ? 1 / std::sqrt(static_cast<double>(p.global[1])) : 0;
        double largest = 0;
        for (const double x : values) largest = std::max(largest, std::abs(x));
        EXPECT_LE(largest, bound) << p.name;
        EXPECT_GE(largest, 0.9 * bound) << p.name;
    }
}

}  // namespace
}  // namespace tandem::test
