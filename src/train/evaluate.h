// Validation: mean loss over the trained tokens of all samples, whatever the number of ranks.
#pragma once

#include <cstdint>

#include "parallel/communicator.h"
#include "src/model/transformer.h"
#include "src/train/data_source.h"

namespace tandem {

struct EvaluationResult {
    double loss = 0;  ///< per trained token
    std::int64_t tokens = 0, trained_tokens = 0;
    [[nodiscard]] double perplexity() const;
};

/// A view of an assembled micro-batch for the model.
HostBatch host_batch(const MicroBatch& batch);

/// One pass over `data`, rows dealt to the ranks of `group`. Collective; every rank gets the result.
EvaluationResult evaluate(Transformer& model, const DataSource& data, std::int64_t micro_batch_size, Communicator& group);

}  // namespace tandem
