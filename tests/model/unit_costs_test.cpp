// What units cost, against published models' numbers, and how models are cut by it.
#include "src/model/unit_costs.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "parallel/partition.h"

namespace tandem::test {
namespace {

struct Dimensions {
    std::int64_t hidden, layers, heads, kv_heads, ffn, vocabulary;
};
constexpr Dimensions kLlama3_8B = {4096, 32, 32, 8, 14336, 128256}, kLlama2_7B = {4096, 32, 32, 32, 11008, 32000};
constexpr Dimensions kLlama30B = {6656, 60, 52, 52, 17920, 32000};

ModelConfig model_of(const Dimensions& d, const nlohmann::json& besides = nlohmann::json::object()) {
    nlohmann::json j = {{"model_type", "llama"},
                        {"hidden_size", d.hidden},
                        {"num_hidden_layers", d.layers},
                        {"num_attention_heads", d.heads},
                        {"num_key_value_heads", d.kv_heads},
                        {"intermediate_size", d.ffn},
                        {"vocab_size", d.vocabulary},
                        {"rms_norm_eps", 1e-5}};
    j.update(besides);
    return parse_model_config(j, "config.json");
}

UnitCostSettings settings_of(Trained trained, const LoraConfig* lora = nullptr) {
    UnitCostSettings s;
    s.trained = trained;
    s.lora = lora;
    s.sequence_length = 2048;
    return s;
}

/// Layers of each part.
std::vector<int> layers_of(const std::vector<UnitCost>& costs, int parts) {
    std::vector<double> seconds, bytes;
    for (const UnitCost& cost : costs) seconds.push_back(cost.flops()), bytes.push_back(0);
    std::vector<int> layers;
    for (const UnitRange& part : balanced_parts(seconds, bytes, parts)) layers.push_back(part.count());
    --layers.front();
    --layers.back();
    return layers;
}

}  // namespace

TEST(UnitCosts, TheHeadCostsSoManyLayers) {
    const auto ratio = [](const Dimensions& d) {
        const auto costs = unit_costs(model_of(d), settings_of(Trained::Everything));
        return costs.back().forward / costs[1].forward;
    };
    EXPECT_NEAR(ratio(kLlama30B), 0.39, 0.005);
    EXPECT_NEAR(ratio(kLlama2_7B), 0.62, 0.005);
    EXPECT_NEAR(ratio(kLlama3_8B), 2.32, 0.005);
}

TEST(UnitCosts, BytesOfAModelAreItsParameters) {
    UnitCostSettings settings = settings_of(Trained::Everything);
    settings.gradient_shards = 2, settings.state_shards = 4;
    double weights = 0, gradients = 0, master = 0, optimizer = 0;
    for (const UnitCost& cost : unit_costs(model_of(kLlama3_8B), settings)) {
        weights += cost.weights, gradients += cost.gradients, master += cost.master, optimizer += cost.optimizer;
    }
    constexpr double kParameters = 8030261248;  // as published
    EXPECT_EQ(weights, 2 * kParameters);
    EXPECT_EQ(gradients, 4 * kParameters / 2);
    EXPECT_EQ(master, 4 * kParameters / 4);
    EXPECT_EQ(optimizer, 8 * kParameters / 4);
    settings.tensor = 8;
    const auto whole = unit_costs(model_of(kLlama3_8B), settings_of(Trained::Everything)),
               split = unit_costs(model_of(kLlama3_8B), settings);
    EXPECT_DOUBLE_EQ(split[1].flops(), whole[1].flops() / 8);
    EXPECT_NEAR(split[1].weights, whole[1].weights / 8, 2 * 2 * 4096);  // the norms lie on every rank
    EXPECT_DOUBLE_EQ(split[1].activations, whole[1].activations / 8);
}

TEST(UnitCosts, ALayerByHand) {
    const ModelConfig model = model_of({4, 2, 2, 1, 3, 7}, {{"head_dim", 2}});
    UnitCostSettings settings = settings_of(Trained::Everything);
    settings.dtype = DType::F32;
    settings.sequence_length = 3;
    const UnitCost full = unit_costs(model, settings)[1];
    const double matrices = 4 * 4 + 2 * 4 * 2 + 4 * 4 + 3 * 4 * 3, attention = 4 * 2 * 4;  // two keys are visible on average
    EXPECT_EQ(full.forward, 2 * matrices + attention);
    EXPECT_EQ(full.backward_input, 2 * matrices + 2.5 * attention);
    EXPECT_EQ(full.backward_weight, 2 * matrices);
    EXPECT_EQ(full.recompute, 0);
    // x, q, k, v, o, x2, gate, up; two norms and two heads' statistics.
    EXPECT_EQ(full.activations, 4 * (4 + 4 + 2 + 2 + 4 + 4 + 3 + 3) + 4 * (2 + 2));
    EXPECT_EQ(full.bytes(10), full.weights * 5 + full.activations * 10);

    LoraConfig lora;
    lora.r = 1;
    settings.trained = Trained::Adapter, settings.lora = &lora, settings.policy = ActivationPolicy::Recompute;
    const UnitCost adapted = unit_costs(model, settings)[1];
    const double factors = (4 + 4) + 2 * (4 + 2) + (4 + 4) + 2 * (4 + 3) + (3 + 4);
    EXPECT_EQ(adapted.forward, full.forward + 2 * factors);
    EXPECT_EQ(adapted.backward_weight, 2 * factors);
    EXPECT_EQ(adapted.recompute, adapted.forward);
    EXPECT_EQ(adapted.activations, 4 * 4);
    EXPECT_EQ(adapted.master, 4 * factors);

    const ModelConfig windowed = model_of({4, 2, 2, 1, 3, 7}, {{"model_type", "mistral"}, {"head_dim", 2}, {"sliding_window", 1}});
    settings = settings_of(Trained::Nothing);
    EXPECT_EQ(unit_costs(windowed, settings)[1].forward, 2 * matrices + 4 * 1 * 4);
    EXPECT_EQ(unit_costs(windowed, settings)[1].flops(), unit_costs(windowed, settings)[1].forward);
}

TEST(UnitCosts, WhatLiesBelowTheTrainedHasNoBackward) {
    LoraConfig lora;
    lora.target_modules = {"layers.2.mlp.up_proj", "layers.3.mlp.up_proj"};
    const auto costs = unit_costs(model_of({4, 4, 2, 1, 3, 7}), settings_of(Trained::Adapter, &lora));
    for (const std::size_t unit : {0U, 1U, 2U}) EXPECT_EQ(costs[unit].flops() + costs[unit].activations, costs[unit].forward) << unit;
    EXPECT_GT(costs[3].backward_input, 0);
    EXPECT_GT(costs[3].activations, 0);
    EXPECT_EQ(costs.back().flops(), 2 * costs.back().forward) << "a frozen head passes its gradient on";
}

TEST(UnitCosts, ATiedHeadMultipliesWithItsCopyOfTheEmbedding) {
    const auto tied = unit_costs(model_of({4, 2, 2, 1, 3, 7}, {{"tie_word_embeddings", true}}), settings_of(Trained::Everything));
    const auto untied = unit_costs(model_of({4, 2, 2, 1, 3, 7}), settings_of(Trained::Everything));
    EXPECT_EQ(tied.back().flops(), untied.back().flops());
    EXPECT_EQ(tied.back().bytes(1), untied.back().bytes(1));
    EXPECT_EQ(tied.front().flops(), 0);
}

TEST(UnitCosts, CutModels) {
    const auto full = settings_of(Trained::Everything);
    // The head of Llama-3-8B weighs 2.3 layers: 34.3 in four parts.
    EXPECT_EQ(layers_of(unit_costs(model_of(kLlama3_8B), full), 4), (std::vector<int>{8, 9, 9, 6}));
    EXPECT_EQ(layers_of(unit_costs(model_of(kLlama30B), full), 4), (std::vector<int>{15, 15, 15, 15}));
    EXPECT_EQ(layers_of(unit_costs(model_of(kLlama30B), full), 8), (std::vector<int>{7, 7, 7, 8, 8, 8, 8, 7}));
    // With a frozen base and recomputation a layer is three passes, and a head two.
    LoraConfig lora;
    auto recomputed = settings_of(Trained::Adapter, &lora);
    recomputed.policy = ActivationPolicy::Recompute;
    EXPECT_EQ(layers_of(unit_costs(model_of(kLlama3_8B), recomputed), 4), (std::vector<int>{8, 8, 9, 7}));
}

}  // namespace tandem::test
