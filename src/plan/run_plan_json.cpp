// `tandem plan --json`: the fields are the public interface; some may be added, none renamed.
#include "src/plan/run_plan.h"

namespace tandem {
namespace {

using Json = nlohmann::ordered_json;

Json bytes_by_kind(const MemoryBytes& bytes) {
    Json object = Json::object();
    for (std::size_t k = 0; k < kMemoryKinds; ++k) object[std::string(name(static_cast<MemoryKind>(k)))] = bytes[k];
    return object;
}

/// Ranks on equal cards are alike: one entry for each capacity.
Json ranks_of(const RunPlan& plan) {
    std::vector<std::pair<std::size_t, std::pair<std::int64_t, std::int64_t>>> groups;  // capacity -> lowest rank, count
    for (std::int64_t r = 0; r < plan.ranks; ++r) {
        const std::size_t capacity = plan.capacity[static_cast<std::size_t>(r) % plan.capacity.size()];
        bool known = false;
        for (auto& [bytes, group] : groups) {
            if (bytes == capacity) ++group.second, known = true;
        }
        if (!known) groups.push_back({capacity, {r, 1}});
    }
    Json list = Json::array();
    for (const auto& [capacity, group] : groups) {
        list.push_back({{"rank", group.first},
                        {"count", group.second},
                        {"data", group.first},
                        {"tensor", 0},
                        {"pipeline", 0},
                        {"bytes", bytes_by_kind(plan.memory.bytes)},
                        {"peak_bytes", plan.memory.peak()},
                        {"peak_at", "backward"},
                        {"context_bytes", plan.context},
                        {"capacity_bytes", capacity},
                        {"fits", plan.memory.peak() + plan.context <= capacity}});
    }
    return list;
}

}  // namespace

Json to_json(const RunPlan& plan, const RunConfig& config) {
    const ModelConfig model = load_model_config(config.model.path);
    const StepTime& t = plan.time;
    Json json = {
        {"schema", 1},
        {"fits", plan.fits},
        {"peak_bytes", plan.memory.peak()},
        {"context_bytes", plan.context},
        {"ranks", ranks_of(plan)},
        {"layout",
         {{"ranks", plan.ranks},
          {"data", plan.layout.data},
          {"tensor", plan.layout.tensor},
          {"pipeline", plan.layout.pipeline},
          {"zero", config.parallel.zero},
          {"schedule", "1f1b"},
          {"layers", Json::array({model.layers})},
          {"micro_batch", config.training.micro_batch_size},
          {"micro_batches", plan.layout.accumulation},
          {"recompute", plan.memory.policy == ActivationPolicy::Recompute ? "full" : "none"}}},
        {"model",
         {{"parameters", plan.memory.parameters}, {"trainable", plan.memory.trainable}, {"flops_per_token", plan.flops_per_token}}},
        {"step_seconds", t.total()},
        {"by_cause",
         {{"compute", t.compute},
          {"recompute", t.recompute},
          {"communication", t.communication},
          {"bubble", t.bubble},
          {"optimizer", t.optimizer},
          {"offload", t.offload},
          {"host", t.host}}},
        {"tokens_per_step", static_cast<std::int64_t>(plan.tokens_per_step)},
        {"tokens_per_second", plan.tokens_per_step / t.total()},
        {"mfu", plan.mfu},
        {"suggestions", Json::array()},
        {"assumptions", plan.assumptions}};
    for (const auto& [s, seconds] : plan.suggestions) {
        json["suggestions"].push_back(
            {{"change", s.change}, {"saves_bytes", plan.memory.peak() - s.plan.peak()}, {"step_seconds", seconds}, {"fits", s.fits}});
    }
    return json;
}

}  // namespace tandem
