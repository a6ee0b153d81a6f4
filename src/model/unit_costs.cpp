#include "src/model/unit_costs.h"

#include <algorithm>

namespace tandem {
namespace {

/// Keys that a query sees on average: itself and what is before it, or the window's part of that.
double visible_keys(std::int64_t length, std::int64_t window) {
    const auto n = static_cast<double>(length);
    const double w = window > 0 ? std::min(static_cast<double>(window), n) : n;
    return (w * (w + 1) / 2 + (n - w) * w) / n;
}

class Counter {
public:
    Counter(const ModelConfig& model, const UnitCostSettings& settings)
        : model_(model), settings_(settings), units_(static_cast<std::size_t>(unit_count(model))) {}

    std::vector<UnitCost> count() {
        Placement placement = whole_model(model_);
        placement.tensor = settings_.tensor;
        const ParamTable table = list_parameters(model_, settings_.trained, settings_.lora, placement, settings_.quantization);
        std::size_t lowest = units_.size();
        for (const Parameter& p : table) {
            if (p.trainable) lowest = std::min(lowest, static_cast<std::size_t>(p.bucket));
        }
        for (const Parameter& p : table) {
            const auto unit = static_cast<std::size_t>(p.bucket);
            hold(p, units_[unit]);
            // The embedding is looked up, not multiplied with.
            if (p.global.dims() == 2 && unit > 0) multiply(p, units_[unit], unit >= lowest);
            if (unit == 0 && model_.tied_head) {
                hold(p, units_.back());
                multiply(p, units_.back(), lowest < units_.size());
            }
        }
        for (std::size_t unit = 1; unit + 1 < units_.size(); ++unit) layer(unit, unit >= lowest);
        return std::move(units_);
    }

private:
    void hold(const Parameter& p, UnitCost& cost) const {
        const auto elements = static_cast<double>(p.storage.elements());
        const auto wide = static_cast<double>(size_of(accumulation_type(settings_.dtype)));
        cost.weights += weight_bytes(p);
        if (!p.trainable) return;
        cost.gradients += elements * wide / settings_.gradient_shards;
        cost.master += elements * wide / settings_.state_shards;
        cost.optimizer += elements * settings_.moment_bytes(p) / settings_.state_shards;
    }

    [[nodiscard]] double weight_bytes(const Parameter& p) const {
        const auto elements = static_cast<double>(p.storage.elements());
        if (!p.quantized) return elements * static_cast<double>(size_of(settings_.dtype));
        const auto blocks = static_cast<double>(p.quantized->grid.lines() * p.quantized->grid.line_blocks());
        return elements / 2 + blocks * (settings_.quantization->double_quant ? 1 + 4.0 / BlockGrid::kNested : 4);
    }

    /// y = x W^T, dx = dy W, dW = dy^T x.
    void multiply(const Parameter& p, UnitCost& cost, bool backward) const {
        const double product = 2.0 * static_cast<double>(p.global.elements()) / settings_.tensor;
        cost.forward += product;
        if (backward) cost.backward_input += product;
        if (backward && p.trainable) cost.backward_weight += product;
    }

    void layer(std::size_t unit, bool backward) {
        UnitCost& cost = units_[unit];
        const double pairs = visible_keys(settings_.sequence_length, model_.windows.at(unit - 1));
        const double attention = 4.0 * pairs * static_cast<double>(model_.query_width()) / settings_.tensor;
        cost.forward += attention;
        if (!backward) return;
        cost.backward_input += 2.5 * attention;  // five products for two: the scores are formed again
        const bool keep = settings_.policy == ActivationPolicy::Keep;
        if (!keep) cost.recompute = cost.forward;
        cost.activations = (keep ? kept_bytes(unit) : hidden_bytes()) / settings_.tensor;
    }

    [[nodiscard]] double hidden_bytes() const { return static_cast<double>(model_.hidden) * static_cast<double>(size_of(settings_.dtype)); }

    /// Block::Saved of a token.
    [[nodiscard]] double kept_bytes(std::size_t unit) const {
        const std::int64_t projected = (model_.qk_norm ? 2 : 1) * (model_.query_width() + model_.kv_width());
        std::int64_t elements = 2 * model_.hidden + projected + model_.query_width() + model_.kv_width() + 2 * model_.ffn;
        for (const LinearShape& linear : linear_layers(model_, static_cast<std::int64_t>(unit) - 1)) {
            if (settings_.lora && settings_.lora->targets(linear.path)) elements += settings_.lora->r;
        }
        const std::int64_t statistics = 2 + model_.heads + (model_.qk_norm ? model_.heads + model_.kv_heads : 0);
        return static_cast<double>(elements) * static_cast<double>(size_of(settings_.dtype)) +
               static_cast<double>(statistics) * static_cast<double>(size_of(accumulation_type(settings_.dtype)));
    }

    const ModelConfig& model_;
    const UnitCostSettings& settings_;
    std::vector<UnitCost> units_;
};

}  // namespace

std::vector<UnitCost> unit_costs(const ModelConfig& model, const UnitCostSettings& settings) { return Counter(model, settings).count(); }

}  // namespace tandem
