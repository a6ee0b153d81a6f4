// Which layers lie on which pipeline rank: parallel.layers as it was typed, or balanced.
#pragma once

#include <vector>

#include "src/config/load.h"
#include "src/model/model_description.h"
#include "src/model/transformer.h"

namespace tandem {

/// Part s of the model is chunk s / stages of pipeline rank s % stages; `chunks` of them a rank. With parallel.layers = auto the parts
/// take as equal times as can be, embedding and head counted, and fit into device.memory_limit where that is given and it is possible
/// (see balanced_parts). Throws Configuration naming the key, its place and what it may be: a number of tensor-parallel ranks that does
/// not divide the model, fewer layers than parts, layers that do not add up to the model's.
[[nodiscard]] std::vector<UnitRange> place_parts(const RunConfig& config, const RankLayout& layout, int chunks,
                                                 const ModelDescription& description);

}  // namespace tandem
