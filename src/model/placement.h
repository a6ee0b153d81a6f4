// Which part of a model a rank holds: units (parallel/program.h) by pipeline stage, slices of matrices by tensor-parallel rank.
#pragma once

#include <cstdint>
#include <string_view>
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

/// Numbers of tensor-parallel ranks that the model can be split over, ascending: they divide the heads, the key/value heads and the
/// feed-forward width, and leave each rank a row of the vocabulary (see share_of_rows).
[[nodiscard]] std::vector<std::int64_t> tensor_sizes(const ModelConfig& model);
/// Throws Configuration naming parallel.tensor, what it does not divide, and tensor_sizes(), unless `tensor` is one of these.
/// `origin` is where the number comes from: "run.ini:12".
void check_tensor(const ModelConfig& model, std::int64_t tensor, std::string_view origin);

/// A rank's rows of a table whose rows are cut into equal parts, rounded up: the last parts may have fewer.
struct RowShare {
    std::int64_t first = 0, count = 0;
    std::int64_t storage = 0;  ///< of every part
};
[[nodiscard]] RowShare share_of_rows(std::int64_t rows, int parts, int part);

}  // namespace tandem
