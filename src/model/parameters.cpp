#include "src/model/parameters.h"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>

#include "kernels/quant/four_bit.h"

namespace tandem {
namespace {

/// How tensor-parallel ranks share one tensor.
enum class Share : std::uint8_t { Replica, Rows, Columns, Vocabulary };

class Lister {
public:
    Lister(const ModelConfig& model, Trained trained, const LoraConfig* lora, const Placement& placement,
           const QuantizationSpec* quantization)
        : model_(model), trained_(trained), lora_(lora), quantization_(quantization), placement_(placement) {
        if (quantization && trained == Trained::Everything)
            fail(Failure::Configuration, "method.type = full trains every weight, and weights in {} blocks cannot be trained; use qlora",
                 name(quantization->type));
    }

    ParamTable list() {
        const int head = unit_count(model_) - 1;
        const bool both_ends = placement_.holds(0) && placement_.holds(head);
        enter(0);
        embedding(both_ends ? Copy::Only : Copy::First);
        for (std::int64_t l = 0; l < model_.layers; ++l) {
            enter(static_cast<int>(l) + 1);
            layer(l);
        }
        enter(head);
        add("model.norm.weight", {model_.hidden}, Share::Replica);
        if (!model_.tied_head) add("lm_head.weight", {model_.vocabulary, model_.hidden}, Share::Vocabulary);
        adapt({"lm_head", model_.vocabulary, model_.hidden, false});
        if (model_.tied_head && !both_ends) {
            bucket_ = 0;
            embedding(Copy::Last);
        }
        check_targets();
        check_quantized();
        return std::move(table_);
    }

private:
    /// Of a tied embedding.
    enum class Copy : std::uint8_t { Only, First, Last };

    void enter(int unit) {
        bucket_ = unit;
        held_ = placement_.holds(unit);
    }

    void embedding(Copy copy) {
        add("model.embed_tokens.weight", {model_.vocabulary, model_.hidden}, Share::Vocabulary);
        if (!held_) return;
        Parameter& p = table_.back();
        p.sum_over_ends = model_.tied_head && copy != Copy::Only;
        p.counts_in_norm = copy != Copy::Last;
    }

    void layer(std::int64_t l) {
        const std::string prefix = fmt::format("model.layers.{}.", l);
        add(prefix + "input_layernorm.weight", {model_.hidden}, Share::Replica);
        const auto linears = linear_layers(model_, l);
        for (std::size_t i = 0; i < linears.size(); ++i) {
            if (i == 4) add(prefix + "post_attention_layernorm.weight", {model_.hidden}, Share::Replica);
            linear(linears[i]);
            // One norm for all heads, of which each rank has some.
            if (model_.qk_norm && i == 0) add(prefix + "self_attn.q_norm.weight", {model_.head_dim}, Share::Replica);
            if (model_.qk_norm && i == 1) add(prefix + "self_attn.k_norm.weight", {model_.head_dim}, Share::Replica);
        }
    }

    void linear(const LinearShape& shape) {
        const bool outputs = shape.split == LinearSplit::Outputs;
        add(shape.path + ".weight", {shape.out, shape.in}, outputs ? Share::Rows : Share::Columns);
        quantize(shape.path);
        if (shape.bias) add(shape.path + ".bias", {shape.out}, outputs ? Share::Rows : Share::Replica);
        adapt(shape);
    }

    void quantize(const std::string& path) {
        if (!quantization_) return;
        linears_.push_back(path);
        if (!quantization_->covers(path)) return;
        quantizes_ = true;
        if (!held_) return;
        Parameter& p = table_.back();
        require(p.storage == p.box.shape, "parameter {}: storage {} for box {} cannot be quantised", p.name, p.storage.str(),
                p.box.shape.str());
        p.quantized = FourBitMatrix{.type = quantization_->type,
                                    .grid = grid_of(p.global, p.box, quantization_->block_size),
                                    .codes = {},
                                    .absmax = {},
                                    .nested = {},
                                    .offset = {}};
    }

    void check_quantized() const {
        if (!quantization_) return;
        for (const std::string& skipped : quantization_->skip_modules) {
            // A directory that bitsandbytes wrote lists what it left alone, whatever that was.
            if (quantization_->stored || skipped == "lm_head") continue;
            if (std::ranges::any_of(linears_, [&](const std::string& path) { return matches_module(path, skipped); })) continue;
            fail(Failure::Configuration, "quantization.skip_modules: '{}' matches no linear layer of this model; there are {}", skipped,
                 fmt::join(modules_, ", "));
        }
        if (!quantizes_)
            fail(Failure::Configuration, "quantization.skip_modules = {}: nothing is left to quantise; use method.type = lora",
                 fmt::join(quantization_->skip_modules, ","));
    }

    void adapt(const LinearShape& shape) {
        modules_.insert(shape.path.substr(shape.path.rfind('.') + 1));
        if (!lora_ || !lora_->targets(shape.path)) return;
        if (shape.path == "lm_head") refuse_target("an adapter of lm_head is not built in this version of tandem");
        adapted_.push_back("." + shape.path);
        const bool trains = trained_ == Trained::Adapter;
        const bool inputs = shape.split == LinearSplit::Inputs;
        add_entry(adapter_tensor_name(shape.path, 'A'), {lora_->r, shape.in}, trains, inputs ? Share::Columns : Share::Replica);
        add_entry(adapter_tensor_name(shape.path, 'B'), {shape.out, lora_->r}, trains, inputs ? Share::Replica : Share::Rows);
    }

    void check_targets() const {
        if (!lora_) return;
        for (const std::string& target : lora_->target_modules) {
            if (target == "all-linear") continue;
            if (!std::ranges::any_of(adapted_, [&](const std::string& path) { return path.ends_with("." + target); }))
                refuse_target(fmt::format("'{}' matches no linear layer of this model; there are {}", target, fmt::join(modules_, ", ")));
        }
    }

    /// What was typed is Configuration, what an adapter's file asks for is Input.
    [[noreturn]] void refuse_target(const std::string& why) const {
        if (lora_->file.empty()) fail(Failure::Configuration, "lora.target_modules: {}", why);
        fail(Failure::Input, "{}: key 'target_modules': {}", lora_->file.string(), why);
    }

    void add(const std::string& name, const Shape& shape, Share share) { add_entry(name, shape, trained_ == Trained::Everything, share); }
    void add_entry(const std::string& name, const Shape& shape, bool trainable, Share share) {
        if (!held_) return;
        Parameter p;
        p.name = name;
        p.global = shape;
        p.box = whole_box(shape);
        p.storage = shape;
        p.trainable = trainable;
        p.bucket = bucket_;
        divide(p, share);
        table_.push_back(std::move(p));
    }

    void divide(Parameter& p, Share share) const {
        const std::int64_t rows = p.global[0];
        const auto shaped = [&](std::int64_t n) { return p.global.dims() == 2 ? Shape{n, p.global[1]} : Shape{n}; };
        switch (share) {
            case Share::Replica:
                p.sum_over_tensor = placement_.tensor > 1;
                p.counts_in_norm = placement_.tensor_rank == 0;
                return;
            case Share::Rows:
            case Share::Vocabulary: {
                const RowShare own = share_of_rows(rows, placement_.tensor, placement_.tensor_rank);
                p.box = {p.global.dims() == 2 ? Shape{own.first, 0} : Shape{own.first}, shaped(own.count)};
                p.storage = shaped(own.storage);
                return;
            }
            case Share::Columns: {
                const std::int64_t width = p.global[1] / placement_.tensor;
                p.box = {{0, placement_.tensor_rank * width}, {rows, width}};
                p.storage = p.box.shape;
            }
        }
    }

    const ModelConfig& model_;
    Trained trained_;
    const LoraConfig* lora_;
    const QuantizationSpec* quantization_;
    const Placement& placement_;
    ParamTable table_;
    std::set<std::string> modules_;     ///< names of linear layers
    std::vector<std::string> adapted_;  ///< paths of those with factors, on whatever rank, with a dot in front
    std::vector<std::string> linears_;  ///< paths of all linear layers of the decoder layers
    bool quantizes_ = false;            ///< any of them
    int bucket_ = 0;
    bool held_ = true;
};

}  // namespace

std::vector<LinearShape> linear_layers(const ModelConfig& m, std::int64_t layer) {
    const std::string attention = fmt::format("model.layers.{}.self_attn.", layer);
    const std::string mlp = fmt::format("model.layers.{}.mlp.", layer);
    return {{attention + "q_proj", m.query_width(), m.hidden, m.qkv_bias, LinearSplit::Outputs},
            {attention + "k_proj", m.kv_width(), m.hidden, m.qkv_bias, LinearSplit::Outputs},
            {attention + "v_proj", m.kv_width(), m.hidden, m.qkv_bias, LinearSplit::Outputs},
            {attention + "o_proj", m.hidden, m.query_width(), m.output_bias, LinearSplit::Inputs},
            {mlp + "gate_proj", m.ffn, m.hidden, m.mlp_bias, LinearSplit::Outputs},
            {mlp + "up_proj", m.ffn, m.hidden, m.mlp_bias, LinearSplit::Outputs},
            {mlp + "down_proj", m.hidden, m.ffn, m.mlp_bias, LinearSplit::Inputs}};
}

ParamTable list_parameters(const ModelConfig& model, Trained trained, const LoraConfig* lora, const QuantizationSpec* quantization) {
    return list_parameters(model, trained, lora, whole_model(model), quantization);
}

ParamTable list_parameters(const ModelConfig& model, Trained trained, const LoraConfig* lora, const Placement& placement,
                           const QuantizationSpec* quantization) {
    check_tensor(model, placement.tensor, "the placement");
    return Lister(model, trained, lora, placement, quantization).list();
}

std::int64_t find_parameter(const ParamTable& table, const std::string& name) {
    const auto found = std::find_if(table.begin(), table.end(), [&](const Parameter& p) { return p.name == name; });
    return found == table.end() ? -1 : found - table.begin();
}

std::vector<std::string> adapted_modules(const ParamTable& table) {
    std::set<std::string> modules;
    const std::string suffix = ".lora_A.weight";
    for (const Parameter& p : table) {
        if (!p.name.ends_with(suffix)) continue;
        const auto path = p.name.substr(0, p.name.size() - suffix.size());
        modules.insert(path.substr(path.rfind('.') + 1));
    }
    return {modules.begin(), modules.end()};
}

}  // namespace tandem
