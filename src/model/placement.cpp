#include "src/model/placement.h"

#include <algorithm>
#include <numeric>

#include <fmt/ranges.h>

namespace tandem {
namespace {

/// What `tensor` does not divide, as config.json calls it; empty if it divides all.
std::string obstacle(const ModelConfig& model, std::int64_t tensor) {
    const auto not_divided = [&](std::string_view key, std::int64_t value) {
        return value % tensor == 0 ? std::string() : fmt::format("does not divide {} {}", key, value);
    };
    for (const auto& found : {not_divided("num_attention_heads", model.heads), not_divided("num_key_value_heads", model.kv_heads),
                              not_divided("intermediate_size", model.ffn)}) {
        if (!found.empty()) return found;
    }
    const auto parts = static_cast<int>(tensor);
    if (share_of_rows(model.vocabulary, parts, parts - 1).count == 0)
        return fmt::format("leaves a rank without a row of vocab_size {}", model.vocabulary);
    return {};
}

}  // namespace

bool Placement::holds(int unit) const {
    return std::ranges::any_of(chunks, [&](const UnitRange& chunk) { return unit >= chunk.first && unit < chunk.last; });
}

int unit_count(const ModelConfig& model) { return static_cast<int>(model.layers) + 2; }

Placement whole_model(const ModelConfig& model) { return {.tensor = 1, .tensor_rank = 0, .chunks = {{0, unit_count(model)}}}; }

std::vector<std::int64_t> tensor_sizes(const ModelConfig& model) {
    std::vector<std::int64_t> sizes;
    for (std::int64_t n = 1; n <= std::gcd(model.kv_heads, model.ffn); ++n) {
        if (obstacle(model, n).empty()) sizes.push_back(n);
    }
    return sizes;
}

void check_tensor(const ModelConfig& model, std::int64_t tensor, std::string_view origin) {
    require(tensor >= 1, "parallel.tensor = {}", tensor);
    const std::string why = obstacle(model, tensor);
    if (why.empty()) return;
    fail(Failure::Configuration, "{}: parallel.tensor = {} {} of the model; allowed: {}", origin, tensor, why,
         fmt::join(tensor_sizes(model), ", "));
}

RowShare share_of_rows(std::int64_t rows, int parts, int part) {
    const std::int64_t storage = (rows + parts - 1) / parts;
    const std::int64_t first = std::min(part * storage, rows);
    return {first, std::min(storage, rows - first), storage};
}

}  // namespace tandem
