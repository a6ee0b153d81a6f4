// Which part of a model a rank holds: units (parallel/program.h) by pipeline stage, slices of matrices by tensor-parallel rank.
#pragma once

#include <vector>

#include "parallel/program.h"
#include "src/model/model_config.h"

namespace tandem {

struct Placement {
    int tensor = 1, tensor_rank = 0;
    std::vector<UnitRange> chunks;  ///< units of each chunk of this rank, ascending
    [[nodiscard]] bool holds(int unit) const;
};

/// Number of units of a model: embedding, layers, head.
[[nodiscard]] int unit_count(const ModelConfig& model);
/// Everything on one rank.
[[nodiscard]] Placement whole_model(const ModelConfig& model);

}  // namespace tandem
