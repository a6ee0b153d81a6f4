// What one forward pass gets: the rows of a micro-batch side by side, with everything that keeps samples apart.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/data/batch_plan.h"
#include "src/data/token_file.h"

namespace tandem {

/// All samples of the rows concatenated; no padding. Vectors have one element a token except cu_seqlens.
struct MicroBatch {
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> labels;            ///< what to predict here: the label of the sample's next token; -100 at its last one
    std::vector<std::int32_t> positions;         ///< within the sample, from 0
    std::vector<std::int32_t> cu_seqlens = {0};  ///< [samples + 1] first token of each sample
    /// The token's number in the whole training (epoch and place in the data): dropout masks are a function of it, and so do
    /// not depend on how batches are dealt.
    std::vector<std::int64_t> row_ids;
    std::int64_t trained = 0;  ///< labels that are not -100
    std::int64_t tokens = 0;
    std::int64_t max_length = 0;  ///< of any sample, tokens
};

/// Reads the rows' samples. No rows give an empty micro-batch.
[[nodiscard]] MicroBatch assemble(const TokenFile& file, std::span<const Row> rows);

}  // namespace tandem
