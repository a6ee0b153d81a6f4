// Ways to split a model over ranks: every combination of tensor-parallel sizes and rows of parts that a small model allows.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "src/model/placement.h"

namespace tandem::test {

struct SplitCase {
    std::string name;
    int tensor = 1, stages = 1;
    std::vector<UnitRange> parts;

    /// Of every rank, stage by stage.
    [[nodiscard]] std::vector<Placement> placements() const {
        std::vector<Placement> all;
        for (int stage = 0; stage < stages; ++stage) {
            for (int rank = 0; rank < tensor; ++rank) {
                Placement p{.tensor = tensor, .tensor_rank = rank, .chunks = {}};
                for (std::size_t s = static_cast<std::size_t>(stage); s < parts.size(); s += static_cast<std::size_t>(stages))
                    p.chunks.push_back(parts[s]);
                all.push_back(std::move(p));
            }
        }
        return all;
    }
};

/// Tensor-parallel sizes of the model among 1, 2 and 4, with the parts: whole, in two, one layer each, and those as chunks of two stages.
inline std::vector<SplitCase> split_cases(const ModelConfig& model) {
    const int units = unit_count(model), layers = units - 2;
    std::vector<UnitRange> one_each;
    for (int l = 0; l < layers; ++l) one_each.push_back({l == 0 ? 0 : l + 1, l == layers - 1 ? units : l + 2});
    std::vector<SplitCase> cases;
    for (const std::int64_t size : tensor_sizes(model)) {
        const int tensor = static_cast<int>(size);
        if (tensor > 4) continue;
        const auto add = [&](const std::string& name, int stages, std::vector<UnitRange> parts) {
            cases.push_back({"tensor " + std::to_string(tensor) + ", " + name, tensor, stages, std::move(parts)});
        };
        add("whole", 1, {{0, units}});
        if (layers < 2) continue;
        add("two stages", 2, {{0, 2}, {2, units}});
        add("a layer each", layers, one_each);
        if (layers % 2 == 0) add("chunks of two stages", 2, one_each);
    }
    return cases;
}

}  // namespace tandem::test
