// How a run is split over ranks and in time: all that follows from parallel.*, the model and the number of ranks, and the programs that
// a step of it is made of.
#pragma once

#include <string>
#include <vector>

#include "parallel/gradient_buckets.h"
#include "parallel/lowering.h"
#include "parallel/mesh.h"
#include "parallel/schedules.h"
#include "src/config/load.h"
#include "src/model/model_description.h"
#include "src/model/transformer.h"

namespace tandem {

struct Split {
    MeshIndex sizes{.data = 1, .tensor = 1, .pipeline = 1};
    Schedule schedule = Schedule::OneFOneB;
    int chunks = 1;
    std::vector<UnitRange> parts;  ///< part s is chunk s / pipeline of stage s % pipeline
    Sharding sharding;
    bool tied = false;
    std::vector<bool> trained;  ///< by unit: has it anything that is trained?
    bool frozen_base = true;    ///< nothing but adapters is trained
    int hoisted_units = 0;      ///< recomputed ahead of the wait for their gradient
    int deferred_units = 0;     ///< whose weight gradients come after the message to the stage before

    [[nodiscard]] std::vector<UnitRange> chunks_of(int stage) const;
    [[nodiscard]] Placement placement(const MeshIndex& place) const;
    [[nodiscard]] std::vector<int> layers() const;  ///< of each stage, its chunks together
    [[nodiscard]] int lowest_trained() const;       ///< unit; the number of units where nothing is
};

/// Throws Configuration naming the key and what it may be where the model does not divide.
[[nodiscard]] Split resolve_split(const RunConfig& config, const RankLayout& layout, const ModelDescription& description);

/// "data 2 x tensor 1 x pipeline 2, zero 2, 1f1b, layers 16 and 14"
[[nodiscard]] std::string describe(const Split& split);

/// The step of every stage with so many micro-batches.
[[nodiscard]] std::vector<Program> step_programs(const Split& split, int micro_batches, ActivationPolicy policy);
/// Forward alone.
[[nodiscard]] std::vector<Program> evaluation_programs(const Split& split, int micro_batches);

/// What the activations of a rank's chunks take.
struct SlotPlan {
    std::vector<int> count;          ///< of each chunk: micro-batches in flight
    std::vector<std::size_t> bytes;  ///< of one slot of each chunk; empty in dry runs, which find out
};

[[nodiscard]] MeshIndex mesh_of(const RankLayout& layout);

}  // namespace tandem
