// Rotation tables: frequencies stretched as the configuration says.
#pragma once

#include <cstdint>
#include <vector>

#include "src/model/model_config.h"

namespace tandem {

struct RopeFrequencies {
    std::vector<double> inverse;  ///< [rotated / 2], radians per position
    double attention_factor = 1;  ///< multiplies cos and sin
};

/// inverse_j = theta^(-2j/d), stretched: linear (Chen et al., arXiv 2306.15595), llama3 (Llama 3.1), yarn (arXiv 2309.00071).
/// Computed as transformers does, in fp32 steps where that is visible in fp32 results.
RopeFrequencies rope_frequencies(const RopeConfig& rope);

/// cos and sin of position * frequency for positions [0, positions), row-major [positions, rotated / 2].
struct RopeTables {
    std::vector<double> cos, sin;
};
RopeTables rope_tables(const RopeConfig& rope, std::int64_t positions);

}  // namespace tandem
