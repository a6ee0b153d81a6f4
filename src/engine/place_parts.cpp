#include "src/engine/place_parts.h"

#include <algorithm>
#include <numeric>

#include <fmt/ranges.h>

#include "parallel/partition.h"
#include "src/engine/state_parts.h"
#include "src/model/unit_costs.h"

namespace tandem {
namespace {

void check_enough_layers(const RunConfig& config, std::int64_t stages, std::int64_t chunks, const ModelConfig& model) {
    const std::int64_t parts = stages * chunks;
    if (parts <= model.layers) return;
    const std::string layers = fmt::format("{} layer{}", model.layers, model.layers == 1 ? "" : "s");
    if (chunks == 1) {
        fail(Failure::Configuration, "{}: parallel.pipeline = {}, but the model has {}, and each stage needs one; use at most {}",
             config.origin("parallel.pipeline"), stages, layers, model.layers);
    }
    const std::int64_t most = std::max<std::int64_t>(model.layers / stages, 1);
    fail(Failure::Configuration,
         "{}: parallel.pipeline x parallel.chunks = {} x {} = {} parts, but the model has {}, and each part needs one; use at most {} "
         "chunk{}, or fewer stages",
         config.origin("parallel.chunks"), stages, chunks, parts, layers, most, most == 1 ? "" : "s");
}

std::vector<UnitRange> typed_parts(const RunConfig& config, std::int64_t parts, const ModelConfig& model) {
    const std::vector<std::int64_t>& layers = config.parallel.layers;
    const std::int64_t sum = std::accumulate(layers.begin(), layers.end(), std::int64_t{0});
    if (sum != model.layers) {
        fail(Failure::Configuration, "{}: parallel.layers = {} adds up to {} layers, but the model has {}",
             config.origin("parallel.layers"), fmt::join(layers, ","), sum, model.layers);
    }
    if (parts == 1) return whole_model(model).chunks;  // chunks of a pipeline of one stage are one part
    require(static_cast<std::int64_t>(layers.size()) == parts, "parallel.layers has {} entries for {} parts", layers.size(), parts);
    return parts_of_layers(layers);
}

/// Times follow floating-point operations. Where recomputation is chosen by memory, later and with these parts, none is counted.
std::vector<UnitRange> balanced(const RunConfig& config, const RankLayout& layout, int chunks, const ModelDescription& description) {
    const bool recomputes = config.training.recompute == Recompute::Full;
    const auto data = static_cast<int>(layout.data);
    const UnitCostSettings settings{
        .trained = description.trained,
        .lora = description.lora_or_null(),
        .quantization = description.quantization_or_null(),
        .policy = recomputes ? ActivationPolicy::Recompute : ActivationPolicy::Keep,
        .dtype = config.model.dtype,
        .sequence_length = config.data.max_seq_length,
        .tensor = static_cast<int>(layout.tensor),
        .gradient_shards = config.parallel.zero >= 2 ? data : 1,
        .state_shards = config.parallel.zero >= 1 ? data : 1,
        .moment_bytes = [&](const Parameter& p) { return moment_bytes(config.optimizer.name, p, accumulation_type(config.model.dtype)); }};
    // As many micro-batches as there are stages are between forward and backward, of each chunk, or all of a step.
    const auto in_flight = std::min(layout.accumulation, layout.pipeline);
    const auto tokens = static_cast<double>(in_flight * config.training.micro_batch_size * config.data.max_seq_length);
    std::vector<double> seconds, bytes;
    for (const UnitCost& cost : unit_costs(description.model, settings)) {
        seconds.push_back(cost.flops());
        bytes.push_back(cost.bytes(tokens));
    }
    std::optional<double> capacity;
    if (config.device.memory_limit) capacity = static_cast<double>(*config.device.memory_limit) / chunks;
    return balanced_parts(seconds, bytes, static_cast<int>(layout.pipeline) * chunks, capacity);
}

}  // namespace

std::vector<UnitRange> place_parts(const RunConfig& config, const RankLayout& layout, int chunks, const ModelDescription& description) {
    const ModelConfig& model = description.model;
    check_tensor(model, layout.tensor, config.origin("parallel.tensor"));
    check_enough_layers(config, layout.pipeline, chunks, model);
    if (!config.parallel.layers.empty()) return typed_parts(config, layout.pipeline * chunks, model);
    return balanced(config, layout, chunks, description);
}

}  // namespace tandem
