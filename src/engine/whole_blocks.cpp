#include "src/engine/whole_blocks.h"

#include <optional>

#include <fmt/ranges.h>

#include "src/engine/state_parts.h"

namespace tandem {
namespace {

struct Cut {
    Parameter parameter;  ///< as the rank has it
    int rank;
};

/// The first parameter, and rank, of a split over `tensor` ranks whose blocks are cut.
std::optional<Cut> first_cut(OptimizerName optimizer, std::int64_t tensor, const ModelDescription& d) {
    Placement placement = whole_model(d.model);
    placement.tensor = static_cast<int>(tensor);
    for (int rank = 0; rank < placement.tensor; ++rank) {
        placement.tensor_rank = rank;
        for (const Parameter& p : list_parameters(d.model, d.trained, d.lora_or_null(), placement, d.quantization_or_null())) {
            if (p.trainable && has_eight_bit_moments(optimizer, p) && !whole_blocks(p)) return Cut{p, rank};
        }
    }
    return std::nullopt;
}

std::string slice_of(const Parameter& p) {
    const int axis = p.global.dims() == 2 && p.box.shape[1] != p.global[1] ? 1 : 0;
    return fmt::format("{} {} to {} of '{}' {}", axis == 1 ? "columns" : "rows", p.box.offset[axis],
                       p.box.offset[axis] + p.box.shape[axis] - 1, p.name, p.global.str());
}

}  // namespace

void check_whole_blocks(const RunConfig& config, const RankLayout& layout, const ModelDescription& description) {
    const OptimizerName optimizer = config.optimizer.name;
    if (!is_eight_bit(optimizer) || layout.tensor == 1) return;
    const auto cut = first_cut(optimizer, layout.tensor, description);
    if (!cut) return;
    std::vector<std::int64_t> whole;
    for (const std::int64_t n : tensor_sizes(description.model)) {
        if (!first_cut(optimizer, n, description)) whole.push_back(n);
    }
    fail(Failure::Configuration,
         "{}: optimizer.name = {} keeps states in blocks of 256 elements of a tensor, which parallel.tensor = {} cuts: rank {} has {}; use "
         "optimizer.name = adamw, or with {} parallel.tensor = {}",
         config.origin("optimizer.name"), name(optimizer), layout.tensor, cut->rank, slice_of(cut->parameter), name(optimizer),
         fmt::join(whole, " or "));
}

}  // namespace tandem
