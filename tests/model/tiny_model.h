// Tiny random models on the ref backend in fp64: the place to check the model's maths.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"
#include "parallel/gradient_buckets.h"
#include "src/engine/evaluation.h"
#include "src/engine/model_stage.h"
#include "src/engine/split.h"
#include "src/model/weights.h"

namespace tandem::test {

/// Samples packed side by side, with every position but the last of a sample trained on the next token.
struct TinyBatch {
    std::vector<std::int32_t> ids, targets, positions, cu_seqlens = {0};
    std::vector<std::int64_t> row_ids;
    std::int64_t max_length = 0;

    explicit TinyBatch(const std::vector<std::vector<std::int32_t>>& samples) {
        for (std::size_t s = 0; s < samples.size(); ++s) {
            for (std::size_t i = 0; i < samples[s].size(); ++i) {
                ids.push_back(samples[s][i]);
                targets.push_back(i + 1 < samples[s].size() ? samples[s][i + 1] : -100);
                positions.push_back(static_cast<std::int32_t>(i));
                row_ids.push_back(static_cast<std::int64_t>(1000 * s + i));
            }
            cu_seqlens.push_back(static_cast<std::int32_t>(ids.size()));
            max_length = std::max(max_length, static_cast<std::int64_t>(samples[s].size()));
        }
    }
    [[nodiscard]] HostBatch view() const { return {ids, targets, positions, cu_seqlens, row_ids, max_length}; }
};

inline nlohmann::json tiny_config(const std::string& family) {
    nlohmann::json j = {{"model_type", family},     {"hidden_size", 16},        {"num_hidden_layers", 2}, {"num_attention_heads", 4},
                        {"num_key_value_heads", 2}, {"intermediate_size", 24},  {"vocab_size", 31},       {"max_position_embeddings", 64},
                        {"rms_norm_eps", 1e-5},     {"initializer_range", 0.3}, {"head_dim", 4},          {"tie_word_embeddings", false}};
    if (family == "mistral") j["sliding_window"] = 3;
    return j;
}

struct TinyModel {
    std::unique_ptr<Backend> backend = make_ref_backend();
    std::unique_ptr<Stream> stream = backend->make_stream();
    DeviceMemory memory{*backend, std::size_t{1} << 30};
    std::unique_ptr<Communicator> self = make_self_communicator();
    std::unique_ptr<Transformer> model;
    Split split;
    std::unique_ptr<GradientBuckets> buckets;
    std::unique_ptr<Optimizer> optimizer;
    Tensor loss;

    TinyModel(const nlohmann::json& config, Trained trained, const LoraConfig* lora = nullptr, DType dtype = DType::F64) {
        ModelConfig parsed = parse_model_config(config, "tiny/config.json");
        const TransformerSettings settings{.model = parsed,
                                           .dtype = dtype,
                                           .trained = trained,
                                           .lora = lora,
                                           .seed = 7,
                                           .positions = 64,
                                           .tokens = 64,
                                           .placement = whole_model(parsed)};
        model = std::make_unique<Transformer>(settings, *backend, *stream, memory, *self);
        Context ctx = model->context();
        const RandomSource random(parsed, 11);
        fill_weights(ctx, model->parameters(), random, random);
        // B = 0 would hide errors in A's gradient, norms of exactly 1 those of their weights.
        for (Parameter& p : model->parameters()) {
            const bool flat = p.name.ends_with("norm.weight") || p.name.ends_with(".bias") || p.name.ends_with("lora_B.weight");
            for (std::int64_t i = 0; flat && i < p.weight.elements(); ++i) nudge(p, i, 0.1 * std::sin(static_cast<double>(i + 1)));
        }
        const RankLayout one;
        split = resolve_split({}, one, {parsed, lora ? std::optional(*lora) : std::nullopt, trained});
        buckets = std::make_unique<GradientBuckets>(model->parameters(), ReductionGroups{*self, *self, *self}, memory,
                                                    accumulation_type(dtype), split.sharding);
        buckets->zero(ctx);
        optimizer = std::make_unique<Optimizer>(OptimizerSection{}, *buckets, model->parameters(), *self, ctx, memory);
        loss = memory[MemoryKind::Optimizer].allocate("loss", DType::F64, {1});
    }

    static void nudge(const Parameter& p, std::int64_t i, double by) {
        if (p.weight.dtype() == DType::F64) p.weight.data<double>()[i] += by;
        else p.weight.data<float>()[i] += static_cast<float>(by);
    }

    double evaluate(const TinyBatch& batch) {
        EvaluationStage stage(*model, split.chunks_of(0));
        const HostBatch view = batch.view();
        stage.start(std::span(&view, 1));
        run(evaluation_programs(split, 1).front(), stage);
        return stage.sum();
    }
    double train(const TinyBatch& batch, ActivationPolicy policy = ActivationPolicy::Keep) {
        Context ctx = model->context();
        ops::zero(ctx, loss);
        buckets->zero(ctx);
        ModelStage stage(*model, {policy, split.chunks_of(0), split.lowest_trained(), {}, {{1}, {}}}, *buckets, *optimizer);
        const HostBatch view = batch.view();
        stage.start(std::span(&view, 1), loss);
        run(step_programs(split, 1, policy).front(), stage);
        return *loss.data<double>();
    }
    /// Up to the end of the step, where weights would change.
    void run(const Program& program, Stage& stage) {
        Context ctx = model->context();
        Executor executor(*self, {});
        executor.run(ctx, program, 0, tail(program), stage);
    }
};

}  // namespace tandem::test
