// What config.json may ask for, and what is refused by name.
#include "src/model/model_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "tests/model/tiny_model.h"

namespace tandem::test {
namespace {

struct Bad {
    const char* patch;  ///< merged into a good configuration
    const char* names;  ///< what the message must contain
};

class RefusedConfig : public testing::TestWithParam<Bad> {};

TEST_P(RefusedConfig, NamesFileAndKey) {
    auto config = tiny_config("llama");
    config.merge_patch(nlohmann::json::parse(GetParam().patch));
    try {
        parse_model_config(config, "some/config.json");
        FAIL() << "accepted " << GetParam().patch;
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Input);
        EXPECT_NE(std::string(error.what()).find("some/config.json"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find(GetParam().names), std::string::npos) << error.what();
    }
}

INSTANTIATE_TEST_SUITE_P(Table, RefusedConfig,
                         testing::Values(Bad{R"({"model_type": "bert"})", "model_type"}, Bad{R"({"model_type": null})", "model_type"},
                                         Bad{R"({"hidden_size": null})", "hidden_size"}, Bad{R"({"hidden_size": "16"})", "hidden_size"},
                                         Bad{R"({"hidden_size": -16})", "hidden_size"}, Bad{R"({"hidden_size": 0})", "hidden_size"},
                                         Bad{R"({"num_key_value_heads": 3})", "num_key_value_heads"},
                                         Bad{R"({"vocab_size": 1.5})", "vocab_size"}, Bad{R"({"hidden_act": "relu"})", "hidden_act"},
                                         Bad{R"({"rms_norm_eps": 0})", "rms_norm_eps"},
                                         Bad{R"({"rope_scaling": {"rope_type": "longrope", "factor": 2.0}})", "rope_type"},
                                         Bad{R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}})", "low_freq_factor"},
                                         Bad{R"({"rope_scaling": [1]})", "rope_scaling"}, Bad{R"({"rope_theta": -1})", "rope_theta"},
                                         Bad{R"({"quantization_config": {"load_in_8bit": true}})", "quantization_config.load_in_8bit"},
                                         Bad{R"({"attention_dropout": 0.1})", "attention_dropout"},
                                         Bad{R"({"tie_word_embeddings": "yes"})", "tie_word_embeddings"},
                                         Bad{R"({"partial_rotary_factor": 0.3})", "rotated"},
                                         Bad{R"({"head_dim": null, "num_attention_heads": 6})", "head"}));

TEST(ModelConfig, ReadsBothSpellingsOfRope) {
    auto old_style = tiny_config("llama"), new_style = tiny_config("llama");
    old_style["rope_theta"] = 5e5;
    old_style["rope_scaling"] = {{"type", "linear"}, {"factor", 4.0}};
    new_style["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 5e5}};
    for (const auto& j : {old_style, new_style}) {
        const ModelConfig m = parse_model_config(j, "c");
        EXPECT_EQ(m.rope.kind, RopeKind::Linear);
        EXPECT_EQ(m.rope.theta, 5e5);
        EXPECT_EQ(m.rope.factor, 4.0);
    }
}

TEST(ModelConfig, WindowsFollowTheFamily) {
    auto j = tiny_config("llama");
    j["sliding_window"] = 8;
    EXPECT_EQ(parse_model_config(j, "c").windows, (std::vector<std::int64_t>{0, 0}));  // Llama ignores the key
    j = tiny_config("mistral");
    EXPECT_EQ(parse_model_config(j, "c").windows, (std::vector<std::int64_t>{3, 3}));
    j["sliding_window"] = nullptr;
    EXPECT_EQ(parse_model_config(j, "c").windows, (std::vector<std::int64_t>{0, 0}));
    j = tiny_config("qwen2");
    j["sliding_window"] = 8;
    j["use_sliding_window"] = false;
    EXPECT_EQ(parse_model_config(j, "c").windows, (std::vector<std::int64_t>{0, 0}));
    j["use_sliding_window"] = true;
    j["max_window_layers"] = 1;
    EXPECT_EQ(parse_model_config(j, "c").windows, (std::vector<std::int64_t>{0, 8}));
    j["layer_types"] = {"sliding_attention", "full_attention"};
    EXPECT_EQ(parse_model_config(j, "c").windows, (std::vector<std::int64_t>{8, 0}));
}

TEST(ModelConfig, BiasesFollowTheFamily) {
    EXPECT_TRUE(parse_model_config(tiny_config("qwen2"), "c").qkv_bias);
    EXPECT_FALSE(parse_model_config(tiny_config("qwen2"), "c").output_bias);
    auto j = tiny_config("llama");
    j["attention_bias"] = true;
    j["mlp_bias"] = true;
    const ModelConfig m = parse_model_config(j, "c");
    EXPECT_TRUE(m.qkv_bias && m.output_bias && m.mlp_bias);
}

}  // namespace
}  // namespace tandem::test
