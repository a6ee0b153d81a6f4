#include "src/model/parameters.h"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>

namespace tandem {
namespace {

class Lister {
public:
    Lister(const ModelConfig& model, Trained trained, const LoraConfig* lora) : model_(model), trained_(trained), lora_(lora) {}

    ParamTable list() {
        add("model.embed_tokens.weight", {model_.vocabulary, model_.hidden});
        for (std::int64_t l = 0; l < model_.layers; ++l) {
            bucket_ = static_cast<int>(l) + 1;
            layer(l);
        }
        bucket_ = static_cast<int>(model_.layers) + 1;
        add("model.norm.weight", {model_.hidden});
        if (!model_.tied_head) add("lm_head.weight", {model_.vocabulary, model_.hidden});
        adapt({"lm_head", model_.vocabulary, model_.hidden, false});
        check_targets();
        return std::move(table_);
    }

private:
    void layer(std::int64_t l) {
        const std::string prefix = fmt::format("model.layers.{}.", l);
        add(prefix + "input_layernorm.weight", {model_.hidden});
        const auto linears = linear_layers(model_, l);
        for (std::size_t i = 0; i < linears.size(); ++i) {
            if (i == 4) add(prefix + "post_attention_layernorm.weight", {model_.hidden});
            linear(linears[i]);
            if (model_.qk_norm && i == 0) add(prefix + "self_attn.q_norm.weight", {model_.head_dim});
            if (model_.qk_norm && i == 1) add(prefix + "self_attn.k_norm.weight", {model_.head_dim});
        }
    }

    void linear(const LinearShape& shape) {
        add(shape.path + ".weight", {shape.out, shape.in});
        if (shape.bias) add(shape.path + ".bias", {shape.out});
        adapt(shape);
    }

    void adapt(const LinearShape& shape) {
        modules_.insert(shape.path.substr(shape.path.rfind('.') + 1));
        if (!lora_ || !lora_->targets(shape.path)) return;
        if (shape.path == "lm_head") refuse_target("an adapter of lm_head is not built in this version of tandem");
        const bool trains = trained_ == Trained::Adapter;
        add_entry(adapter_tensor_name(shape.path, 'A'), {lora_->r, shape.in}, trains);
        add_entry(adapter_tensor_name(shape.path, 'B'), {shape.out, lora_->r}, trains);
    }

    void check_targets() const {
        if (!lora_) return;
        for (const std::string& target : lora_->target_modules) {
            if (target == "all-linear") continue;
            const bool known = std::any_of(table_.begin(), table_.end(), [&](const Parameter& p) {
                const std::string suffix = ".lora_A.weight";
                if (!p.name.ends_with(suffix)) return false;
                const auto path = p.name.substr(0, p.name.size() - suffix.size());
                return path.ends_with("." + target);
            });
            if (!known)
                refuse_target(fmt::format("'{}' matches no linear layer of this model; there are {}", target, fmt::join(modules_, ", ")));
        }
    }

    /// What was typed is Configuration, what an adapter's file asks for is Input.
    [[noreturn]] void refuse_target(const std::string& why) const {
        if (lora_->file.empty()) fail(Failure::Configuration, "lora.target_modules: {}", why);
        fail(Failure::Input, "{}: key 'target_modules': {}", lora_->file.string(), why);
    }

    void add(const std::string& name, const Shape& shape) { add_entry(name, shape, trained_ == Trained::Everything); }
    void add_entry(const std::string& name, const Shape& shape, bool trainable) {
        Parameter p;
        p.name = name;
        p.global = shape;
        p.box = {shape.dims() == 2 ? Shape{0, 0} : Shape{0}, shape};
        p.storage = shape;
        p.trainable = trainable;
        p.bucket = bucket_;
        table_.push_back(std::move(p));
    }

    const ModelConfig& model_;
    Trained trained_;
    const LoraConfig* lora_;
    ParamTable table_;
    std::set<std::string> modules_;
    int bucket_ = 0;
};

}  // namespace

std::vector<LinearShape> linear_layers(const ModelConfig& m, std::int64_t layer) {
    const std::string attention = fmt::format("model.layers.{}.self_attn.", layer);
    const std::string mlp = fmt::format("model.layers.{}.mlp.", layer);
    return {{attention + "q_proj", m.query_width(), m.hidden, m.qkv_bias},
            {attention + "k_proj", m.kv_width(), m.hidden, m.qkv_bias},
            {attention + "v_proj", m.kv_width(), m.hidden, m.qkv_bias},
            {attention + "o_proj", m.hidden, m.query_width(), m.output_bias},
            {mlp + "gate_proj", m.ffn, m.hidden, m.mlp_bias},
            {mlp + "up_proj", m.ffn, m.hidden, m.mlp_bias},
            {mlp + "down_proj", m.hidden, m.ffn, m.mlp_bias}};
}

ParamTable list_parameters(const ModelConfig& model, Trained trained, const LoraConfig* lora) {
    return Lister(model, trained, lora).list();
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
