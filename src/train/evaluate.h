// Validation: mean loss over the trained tokens of all samples, however the ranks are laid out.
#pragma once

#include <cstdint>

#include "parallel/mesh.h"
#include "src/engine/evaluation.h"
#include "src/engine/split.h"
#include "src/train/data_source.h"

namespace tandem {

struct EvaluationResult {
    double loss = 0;  ///< per trained token
    std::int64_t tokens = 0, trained_tokens = 0;
    [[nodiscard]] double perplexity() const;
};

/// A view of an assembled micro-batch for the model.
HostBatch host_batch(const MicroBatch& batch);

/// What a rank evaluates with.
struct Evaluator {
    Transformer& model;
    const Split& split;
    Mesh& mesh;
    Outbox outbox;
};

/// Rows of one batch of an evaluation: as many micro-batches at a time as keep every stage of a pipeline busy.
[[nodiscard]] std::int64_t evaluation_rows(const MeshIndex& sizes, std::int64_t micro_batch_size);

/// One pass over `data`, rows dealt to the data-parallel ranks. Collective; every rank gets the result.
EvaluationResult evaluate(const Evaluator& evaluator, const DataSource& data, std::int64_t micro_batch_size);

}  // namespace tandem
