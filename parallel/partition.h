// Cutting a model's row of units (see program.h) into the contiguous parts of a pipeline.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "parallel/program.h"

namespace tandem {

/// The parts of a model with so many layers in each: the first has the embedding besides, the last the head.
[[nodiscard]] std::vector<UnitRange> parts_of_layers(std::span<const std::int64_t> layers);

/// `parts` contiguous ranges of units, each with at least one layer: the slowest part is as fast as it can be, for every step of a
/// pipeline waits for it. Among such, the second slowest is as fast as it can be, and so on; then earlier parts are the smaller ones,
/// as they hold more micro-batches at a time. Parts of more than `capacity` bytes come before all that: there are as few as can be.
///
/// seconds, bytes: of each unit, embedding and head included, >= 0; any unit of time will do. Exact, by dynamic programming over (part,
/// unit).
[[nodiscard]] std::vector<UnitRange> balanced_parts(std::span<const double> seconds, std::span<const double> bytes, int parts,
                                                    std::optional<double> capacity = std::nullopt);

}  // namespace tandem
