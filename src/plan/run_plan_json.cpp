// `tandem plan --json`: the fields are the public interface; some may be added, none renamed.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "src/plan/run_plan.h"

namespace tandem {
namespace {

using Json = nlohmann::ordered_json;

Json bytes_by_kind(const MemoryBytes& bytes) {
    Json object = Json::object();
    for (std::size_t k = 0; k < kMemoryKinds; ++k) object[std::string(name(static_cast<MemoryKind>(k)))] = bytes[k];
    return object;
}

/// Ranks of one stage on equal cards are alike: one entry for each of them.
struct RankGroup {
    std::int64_t rank, count;  ///< the lowest, how many
    int stage;
    std::size_t capacity;
};

std::vector<RankGroup> group_ranks(const RunPlan& plan) {
    std::vector<RankGroup> groups;
    for (std::int64_t r = 0; r < plan.ranks; ++r) {
        const int stage = coordinates(plan.memory.split.sizes, static_cast<int>(r)).pipeline;
        const std::size_t capacity = plan.capacity[static_cast<std::size_t>(r) % plan.capacity.size()];
        const auto same =
            std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.stage == stage && g.capacity == capacity; });
        if (same != groups.end()) ++same->count;
        else groups.push_back({r, 1, stage, capacity});
    }
    return groups;
}

Json ranks_of(const RunPlan& plan) {
    Json list = Json::array();
    for (const RankGroup& group : group_ranks(plan)) {
        const MeshIndex place = coordinates(plan.memory.split.sizes, static_cast<int>(group.rank));
        const StagePlan& stage = plan.memory.stages[static_cast<std::size_t>(group.stage)];
        list.push_back({{"rank", group.rank},
                        {"count", group.count},
                        {"data", place.data},
                        {"tensor", place.tensor},
                        {"pipeline", place.pipeline},
                        {"bytes", bytes_by_kind(stage.bytes)},
                        {"peak_bytes", stage.peak()},
                        {"host_bytes", stage.host},
                        {"peak_at", stage.peak_at},
                        {"context_bytes", plan.context},
                        {"capacity_bytes", group.capacity},
                        {"fits", stage.peak() + plan.context <= group.capacity}});
    }
    return list;
}

}  // namespace

Json to_json(const RunPlan& plan, const RunConfig& config) {
    const StepTime& t = plan.time;
    Json json = {
        {"schema", 1},
        {"fits", plan.fits},
        {"peak_bytes", plan.memory.peak()},
        {"context_bytes", plan.context},
        {"host_bytes", plan.memory.host()},
        {"ranks", ranks_of(plan)},
        {"layout",
         {{"ranks", plan.ranks},
          {"data", plan.layout.data},
          {"tensor", plan.layout.tensor},
          {"pipeline", plan.layout.pipeline},
          {"zero", config.parallel.zero},
          {"schedule", name(plan.memory.split.schedule)},
          {"chunks", plan.memory.split.chunks},
          {"reduce", plan.memory.split.sharding.moment == ReduceMoment::Each ? "each" : "last"},
          {"layers", plan.memory.split.layers()},
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
