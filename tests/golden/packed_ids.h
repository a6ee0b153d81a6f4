// Token sequences packed into one batch, for logits alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "src/engine/model_setup.h"
#include "src/model/decoder.h"

namespace tandem::test {

struct PackedIds {
    std::vector<std::int32_t> ids, targets, positions, cu_seqlens = {0};
    std::vector<std::int64_t> row_ids;
    std::int64_t max_length = 0;

    void append(const std::vector<std::int32_t>& sequence) {
        for (std::size_t i = 0; i < sequence.size(); ++i) {
            ids.push_back(sequence[i]);
            targets.push_back(-100);
            positions.push_back(static_cast<std::int32_t>(i));
            row_ids.push_back(static_cast<std::int64_t>(row_ids.size()));
        }
        cu_seqlens.push_back(static_cast<std::int32_t>(ids.size()));
        max_length = std::max(max_length, static_cast<std::int64_t>(sequence.size()));
    }
    [[nodiscard]] HostBatch batch() const { return {ids, targets, positions, cu_seqlens, row_ids, max_length}; }
};

/// The model of the configuration on one rank, for batches and samples of up to `longest` tokens.
inline LoadedModel load_whole_model(const RunConfig& config, Device& device, Communicator& self, std::int64_t longest) {
    OpenedModel opened = open_model(config, Trained::Nothing);
    const ModelPlace place{whole_model(opened.description.model), self, longest, longest};
    return load_model(config, std::move(opened), device, place);
}

}  // namespace tandem::test
