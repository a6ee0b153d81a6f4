#include "src/engine/split.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "src/engine/place_parts.h"
#include "src/engine/whole_blocks.h"
#include "src/model/parameters.h"

namespace tandem {
namespace {

std::vector<bool> trained_units(const ModelDescription& description) {
    std::vector<bool> units(static_cast<std::size_t>(unit_count(description.model)), false);
    for (const Parameter& p : whole_model_table(description)) {
        if (p.trainable) units[static_cast<std::size_t>(p.bucket)] = true;
    }
    return units;
}

Schedule resolve_schedule(const RunConfig& config, int chunks) {
    switch (config.parallel.schedule) {
        case PipelineSchedule::GPipe: return Schedule::GPipe;
        case PipelineSchedule::OneFOneB: return Schedule::OneFOneB;
        case PipelineSchedule::Interleaved: return Schedule::Interleaved;
        case PipelineSchedule::ZbH1: return Schedule::ZbH1;
        case PipelineSchedule::Auto: break;
    }
    return chunks > 1 ? Schedule::Interleaved : Schedule::OneFOneB;
}

/// ZeRO-2 adds up gradients after every micro-batch, which keeps 1 / data of them and sends them so many times; ZeRO-1 once a step. Weight
/// gradients that zb-h1 puts off have to lie somewhere until then: whole.
ReduceMoment resolve_moment(const RunConfig& config, const Split& split) {
    const bool defers = split.schedule == Schedule::ZbH1 && !split.frozen_base;
    return config.parallel.zero == 2 && split.sizes.data > 1 && !defers ? ReduceMoment::Each : ReduceMoment::Last;
}

}  // namespace

std::vector<UnitRange> Split::chunks_of(int stage) const {
    std::vector<UnitRange> list;
    for (int c = 0; c < chunks; ++c) list.push_back(parts[static_cast<std::size_t>(c * sizes.pipeline + stage)]);
    return list;
}

Placement Split::placement(const MeshIndex& place) const {
    return {.tensor = sizes.tensor, .tensor_rank = place.tensor, .chunks = chunks_of(place.pipeline)};
}

std::vector<int> Split::layers() const {
    std::vector<int> list(static_cast<std::size_t>(sizes.pipeline), 0);
    const int head = static_cast<int>(trained.size()) - 1;
    for (std::size_t part = 0; part < parts.size(); ++part)
        list[part % list.size()] += std::min(parts[part].last, head) - std::max(parts[part].first, 1);
    return list;
}

std::string describe(const Split& split) {
    std::string text = fmt::format("data {} x tensor {} x pipeline {}", split.sizes.data, split.sizes.tensor, split.sizes.pipeline);
    if (split.sizes.data > 1) text += fmt::format(", zero {}", split.sharding.zero);
    if (split.sizes.pipeline == 1) return text;
    return text + fmt::format(", {}{}, layers {}", name(split.schedule), split.chunks > 1 ? fmt::format(" ({} chunks)", split.chunks) : "",
                              fmt::join(split.layers(), ", "));
}

int Split::lowest_trained() const { return static_cast<int>(std::ranges::find(trained, true) - trained.begin()); }

MeshIndex mesh_of(const RankLayout& layout) {
    return {
        .data = static_cast<int>(layout.data), .tensor = static_cast<int>(layout.tensor), .pipeline = static_cast<int>(layout.pipeline)};
}

Split resolve_split(const RunConfig& config, const RankLayout& layout, const ModelDescription& description) {
    const ModelConfig& model = description.model;
    Split split;
    split.sizes = mesh_of(layout);
    // Chunks of a pipeline of one stage would only be messages to oneself.
    split.chunks = split.sizes.pipeline > 1 ? static_cast<int>(config.parallel.chunks) : 1;
    split.schedule = resolve_schedule(config, split.chunks);
    split.parts = place_parts(config, layout, split.chunks, description);
    check_whole_blocks(config, layout, description);
    split.tied = model.tied_head;
    split.trained = trained_units(description);
    split.frozen_base = description.trained != Trained::Everything;
    split.sharding.zero = static_cast<int>(config.parallel.zero);
    split.sharding.moment = resolve_moment(config, split);
    split.sharding.shared_buckets = {unit_count(model) - 1};
    if (split.tied) split.sharding.shared_buckets.push_back(0);
    return split;
}

namespace {

PipelineShape shape_of(const Split& split, int micro_batches) {
    return {.stages = split.sizes.pipeline, .chunks = split.chunks, .micro_batches = micro_batches};
}

}  // namespace

std::vector<Program> step_programs(const Split& split, int micro_batches, ActivationPolicy policy) {
    Lowering lowering;
    lowering.parts = split.parts;
    lowering.lowest_trained = split.lowest_trained();
    lowering.recompute = policy == ActivationPolicy::Recompute;
    lowering.hoisted_units = split.hoisted_units;
    lowering.deferred_units = split.deferred_units;
    lowering.frozen_base = split.frozen_base;
    lowering.reduction = split.sharding.moment;
    lowering.tied = split.tied;
    for (std::size_t u = 0; u < split.trained.size(); ++u) {
        if (split.trained[u]) lowering.trained_buckets.push_back(static_cast<int>(u));
    }
    return make_programs(split.schedule, shape_of(split, micro_batches), lowering);
}

std::vector<Program> evaluation_programs(const Split& split, int micro_batches) {
    return make_forward_programs(shape_of(split, micro_batches), split.parts);
}

}  // namespace tandem
