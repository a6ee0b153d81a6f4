// What every rank of a run needs: the engine itself, driven on the dry backend with the largest micro-batch the data may bring.
// It needs config.json and nothing else: no weights, no data, no device, no launcher.
#pragma once

#include <map>

#include "kernels/base/arena.h"
#include "kernels/dry/op_counts.h"
#include "parallel/dry_communicator.h"
#include "src/config/load.h"
#include "src/config/run_config.h"
#include "src/engine/model_setup.h"
#include "src/engine/split.h"

namespace tandem {

/// Who plans, and with what.
struct PlanSubject {
    const RunConfig& config;
    RankLayout layout;
    Purpose purpose;  ///< Train or Eval
    int threads;      ///< of a rank; device.threads wins
};

/// What one instruction of the program does, whichever micro-batch it is for.
struct InstructionCost {
    OpCounts ops;
    TrafficCounts tensor, data;  ///< collectives of the tensor-parallel and of the data-parallel group
};
struct InstructionKind {
    Op op;
    int chunk = 0;
    UnitRange units = {};
    int bucket = -1;
    friend auto operator<=>(const InstructionKind& a, const InstructionKind& b) {
        return std::tie(a.op, a.chunk, a.units.first, a.units.last, a.bucket) <=>
               std::tie(b.op, b.chunk, b.units.first, b.units.last, b.bucket);
    }
    friend bool operator==(const InstructionKind&, const InstructionKind&) = default;
};
[[nodiscard]] InstructionKind kind_of(const Instruction& instruction);

/// Data-parallel ranks of a pipeline stage are alike, and so are tensor-parallel ones: the plan of any of them.
struct StagePlan {
    MemoryBytes bytes{};  ///< each kind's high-water mark over loading, steps and validation: what the arenas are made of
    SlotPlan slots;       ///< part of the activations (Train)
    std::map<InstructionKind, InstructionCost> costs;
    std::string peak_at;      ///< the instruction during which activations and workspace were fullest
    std::size_t message = 0;  ///< bytes between stages, of one micro-batch
    std::size_t host = 0;     ///< bytes of host memory besides: paged optimizer states
    [[nodiscard]] std::size_t peak() const { return total(bytes); }
    [[nodiscard]] MemoryKind largest() const;
    /// What an instruction of a step of any number of micro-batches costs. Throws Run for what the dry run did not do.
    [[nodiscard]] const InstructionCost& cost(const Instruction& instruction) const;
};

struct MemoryPlan {
    Split split;
    ActivationPolicy policy = ActivationPolicy::Keep;
    std::vector<StagePlan> stages;
    std::int64_t parameters = 0, trainable = 0;  ///< elements, of the whole model
    /// The stage that needs most.
    [[nodiscard]] const StagePlan& largest() const;
    [[nodiscard]] std::size_t peak() const { return largest().peak(); }
    [[nodiscard]] const MemoryBytes& bytes() const { return largest().bytes; }
    /// The most host memory that a rank takes besides.
    [[nodiscard]] std::size_t host() const;
};

/// Tokens of the largest legal micro-batch: training.micro_batch_size rows of data.max_seq_length.
[[nodiscard]] std::int64_t largest_micro_batch(const RunConfig& config);
/// What a run of this purpose trains.
[[nodiscard]] Trained trained_for(const RunConfig& config, Purpose purpose);

/// Every position counts as trained. `overlapped_units`: see Split::hoisted_units and deferred_units, whichever this run can use. Throws as
/// describe_model() and resolve_split() do.
[[nodiscard]] MemoryPlan plan_memory(const PlanSubject& subject, ActivationPolicy policy, int overlapped_units = 0);

}  // namespace tandem
