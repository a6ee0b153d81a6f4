// What a rank of a run needs: the engine itself, driven on the dry backend with the largest micro-batch the data may bring.
// It needs config.json and nothing else: no weights, no data, no device, no launcher.
#pragma once

#include "kernels/base/arena.h"
#include "kernels/dry/op_counts.h"
#include "parallel/dry_communicator.h"
#include "src/config/load.h"
#include "src/config/run_config.h"
#include "src/engine/model_setup.h"

namespace tandem {

/// Who plans, and with what.
struct PlanSubject {
    const RunConfig& config;
    RankLayout layout;
    Purpose purpose;  ///< Train or Eval
    int threads;      ///< of a rank; device.threads wins
};

struct MemoryPlan {
    MemoryBytes bytes{};  ///< each kind's high-water mark over loading, steps and validation: what the arenas are made of
    MemoryKind largest = MemoryKind::Weights;
    ActivationPolicy policy = ActivationPolicy::Keep;
    std::int64_t parameters = 0, trainable = 0;  ///< elements
    // What a rank does (Train).
    OpCounts micro_batch;   ///< forward and backward of one micro-batch
    OpCounts update;        ///< clipping and optimizer, once a step
    TrafficCounts traffic;  ///< of a step
    [[nodiscard]] std::size_t peak() const { return total(bytes); }
};

/// Tokens of the largest legal micro-batch: training.micro_batch_size rows of data.max_seq_length.
[[nodiscard]] std::int64_t largest_micro_batch(const RunConfig& config);

/// All data-parallel ranks are alike: the plan of any of them. Every position counts as trained. Throws as describe_model() does.
[[nodiscard]] MemoryPlan plan_memory(const PlanSubject& subject, ActivationPolicy policy);

}  // namespace tandem
