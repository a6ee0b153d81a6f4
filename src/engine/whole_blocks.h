// Whether tensor-parallel ranks leave the 256-blocks of 8-bit optimizer states whole.
#pragma once

#include "src/config/load.h"
#include "src/model/model_description.h"

namespace tandem {

/// Throws Configuration where the slices of `layout.tensor` ranks cut blocks of a trained parameter whose moments optimizer.name keeps in
/// eight bits, naming where the key was given, the tensor, the slice, and what may be used instead. Blocks of a slice would not be those
/// of the tensor: the run would depend on how it is split, and no other layout could resume it.
void check_whole_blocks(const RunConfig& config, const RankLayout& layout, const ModelDescription& description);

}  // namespace tandem
