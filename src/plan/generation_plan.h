// What generating text needs of a device's memory, found by doing it on the dry backend.
#pragma once

#include "src/engine/model_setup.h"
#include "src/engine/split.h"

namespace tandem {

/// Bytes by kind on the rank at `place`, for `length` tokens of prompt and continuation, read `chunk` at a time.
[[nodiscard]] MemoryBytes plan_generation(const RunConfig& config, const ModelDescription& description, const Split& split,
                                          const MeshIndex& place, std::int64_t length, std::int64_t chunk);

}  // namespace tandem
