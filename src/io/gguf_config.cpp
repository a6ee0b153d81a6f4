#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/base/error.h"
#include "src/io/gguf_family.h"

namespace tandem::io_detail {

namespace {

struct Llama3Scaling {
    double factor, low, high, original;
};

/// Divisor of rotary frequency i: what llama.cpp's converter stores in rope_freqs for rope_type llama3.
double llama3_divisor(const Llama3Scaling& s, double theta, std::int64_t head_dim, std::int64_t i) {
    const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    const double wavelength = 2.0 * std::numbers::pi / frequency;
    if (wavelength < s.original / s.high) return 1.0;
    if (wavelength > s.original / s.low) return s.factor;
    const double smooth = (s.original / wavelength - s.low) / (s.high - s.low);
    return 1.0 / ((1.0 - smooth) / s.factor + smooth);
}

bool matches(const Llama3Scaling& s, const std::vector<float>& divisors, double theta, std::int64_t head_dim) {
    for (std::size_t i = 0; i < divisors.size(); ++i) {
        const auto expected = llama3_divisor(s, theta, head_dim, static_cast<std::int64_t>(i));
        if (std::abs(expected - static_cast<double>(divisors[i])) > 1e-4 * expected) return false;
    }
    return true;
}

/// In the band between the two corners 1/divisor is linear in 1/wavelength; its slope and intercept give the corners. Only their
/// ratio to the original length is determined, so the low factor is 1.
Llama3Scaling fit_llama3(const std::vector<float>& divisors, double theta, std::int64_t head_dim) {
    const auto factor = static_cast<double>(*std::max_element(divisors.begin(), divisors.end()));
    std::vector<std::pair<double, double>> band;  // 1 / wavelength, smooth
    for (std::size_t i = 0; i < divisors.size(); ++i) {
        const auto divisor = static_cast<double>(divisors[i]);
        if (divisor <= 1.0 + 1e-6 || divisor >= factor * (1.0 - 1e-6)) continue;
        const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
        band.emplace_back(frequency / (2.0 * std::numbers::pi), (1.0 / divisor - 1.0 / factor) / (1.0 - 1.0 / factor));
    }
    if (band.size() < 2) return {factor, 1.0, 4.0, 8192.0};
    const double slope = (band.front().second - band.back().second) / (band.front().first - band.back().first);
    const double width = -1.0 / (band.front().second - slope * band.front().first);
    return {factor, 1.0, std::round((width + 1.0) * 1e3) / 1e3, std::round(slope * width)};
}

std::vector<float> read_factors(const GgufFile& file, const std::string& name, std::int64_t count) {
    const auto* tensor = file.find_tensor(name);
    if (tensor == nullptr) return {};
    if (tensor->shape.elements() != count || tensor->rows() != 1) {
        fail(Failure::Input, "{}: tensor '{}' has shape {}, but {} factors are needed", file.path().string(), name, tensor->shape.str(),
             count);
    }
    std::vector<float> factors(static_cast<std::size_t>(count));
    file.read_rows(*tensor, 0, 1, factors);
    return factors;
}

Json llama3_json(const GgufFile& file, const ImportPlan& plan, const std::vector<float>& divisors) {
    const auto theta = plan.dims.rope_theta;
    const auto head_dim = plan.dims.head_dim;
    if (std::all_of(divisors.begin(), divisors.end(), [](float x) { return x == 1.0F; })) return nullptr;
    Llama3Scaling s{static_cast<double>(*std::max_element(divisors.begin(), divisors.end())), 1.0, 4.0, 8192.0};
    if (!matches(s, divisors, theta, head_dim)) s = fit_llama3(divisors, theta, head_dim);
    if (!matches(s, divisors, theta, head_dim)) {
        fail(Failure::Input, "{}: tensor 'rope_freqs.weight' is not a frequency scaling of the llama3 kind, and no other is known",
             file.path().string());
    }
    return {{"rope_type", "llama3"},
            {"factor", s.factor},
            {"low_freq_factor", s.low},
            {"high_freq_factor", s.high},
            {"original_max_position_embeddings", static_cast<std::int64_t>(s.original)}};
}

/// Shortest decimals instead of the digits of a widened float.
Json decimals(const std::vector<float>& values) {
    Json list = Json::array();
    for (const auto x : values) list.push_back(std::stod(fmt::format("{}", x)));
    return list;
}

/// What only one family has.
void add_special_keys(const GgufFile& file, const ImportPlan& plan, Json& config) {
    const auto type = plan.family.model_type;
    const auto& d = plan.dims;
    const auto window = file.integer(family_key(file, "attention.sliding_window"));
    const auto window_json = window && *window > 0 ? Json(*window) : Json(nullptr);
    if (type == "llama" || type == "qwen3") config["attention_bias"] = d.attention_bias;
    if (type == "llama") config["mlp_bias"] = false;
    if (type == "mistral" || type == "phi3" || type == "gemma2") config["sliding_window"] = window_json;
    if (type == "qwen2" || type == "qwen3") config["use_sliding_window"] = false;
    if (type == "gemma" || type == "gemma2") config["hidden_activation"] = std::string(plan.family.activation);
    if (type == "gemma2") {
        // Not in the file: the 27B model (46 layers) scales by the hidden size over the heads, the others by the head's size.
        config["query_pre_attn_scalar"] = d.layers == 46 ? d.hidden / d.heads : d.head_dim;
        config["attn_logit_softcapping"] = file.number(family_key(file, "attn_logit_softcapping")).value_or(50.0);
        config["final_logit_softcapping"] = file.number(family_key(file, "final_logit_softcapping")).value_or(30.0);
    }
    if (type == "phi3") {
        const auto rotated = file.integer(family_key(file, "rope.dimension_count")).value_or(d.head_dim);
        if (rotated != d.head_dim) config["partial_rotary_factor"] = static_cast<double>(rotated) / static_cast<double>(d.head_dim);
        const auto original = file.integer(family_key(file, "rope.scaling.original_context_length"));
        config["original_max_position_embeddings"] = original.value_or(d.positions);
    }
}

}  // namespace

Json rope_scaling(const GgufFile& file, const ImportPlan& plan) {
    const auto& d = plan.dims;
    const auto rotated = file.integer(family_key(file, "rope.dimension_count")).value_or(d.head_dim);
    if (const auto divisors = read_factors(file, "rope_freqs.weight", d.head_dim / 2); !divisors.empty())
        return llama3_json(file, plan, divisors);
    const auto long_factors = read_factors(file, "rope_factors_long.weight", rotated / 2);
    const auto short_factors = read_factors(file, "rope_factors_short.weight", rotated / 2);
    if (!long_factors.empty() && !short_factors.empty()) {
        return {{"rope_type", "longrope"},
                {"type", "longrope"},
                {"long_factor", decimals(long_factors)},
                {"short_factor", decimals(short_factors)}};
    }
    const auto type = file.text(family_key(file, "rope.scaling.type")).value_or("none");
    const auto factor =
        file.number(family_key(file, "rope.scaling.factor")).value_or(file.number(family_key(file, "rope.scale_linear")).value_or(1.0));
    if (type == "none" && factor == 1.0) return nullptr;
    if (type == "linear" || type == "none") return {{"rope_type", "linear"}, {"factor", factor}};
    if (type != "yarn") {
        fail(Failure::Input, "{}: metadata key '{}' is '{}', which is not known; known are none, linear, yarn", file.path().string(),
             family_key(file, "rope.scaling.type"), type);
    }
    Json yarn = {{"rope_type", "yarn"}, {"factor", factor}};
    if (const auto n = file.integer(family_key(file, "rope.scaling.original_context_length")))
        yarn["original_max_position_embeddings"] = *n;
    if (const auto x = file.number(family_key(file, "rope.scaling.yarn_beta_fast"))) yarn["beta_fast"] = *x;
    if (const auto x = file.number(family_key(file, "rope.scaling.yarn_beta_slow"))) yarn["beta_slow"] = *x;
    return yarn;
}

Json hf_config(const GgufFile& file, const ImportPlan& plan, DType dtype) {
    const auto& d = plan.dims;
    constexpr auto torch_name = [](DType t) { return t == DType::BF16 ? "bfloat16" : t == DType::F16 ? "float16" : "float32"; };
    Json config = {{"architectures", Json::array({std::string(plan.family.model_class)})},
                   {"model_type", std::string(plan.family.model_type)},
                   {"hidden_size", d.hidden},
                   {"intermediate_size", d.intermediate},
                   {"num_hidden_layers", d.layers},
                   {"num_attention_heads", d.heads},
                   {"num_key_value_heads", d.kv_heads},
                   {"head_dim", d.head_dim},
                   {"hidden_act", std::string(plan.family.activation)},
                   {"max_position_embeddings", d.positions},
                   {"rms_norm_eps", d.norm_eps},
                   {"rope_theta", d.rope_theta},
                   {"rope_scaling", rope_scaling(file, plan)},
                   {"vocab_size", d.vocabulary},
                   {"tie_word_embeddings", d.tied},
                   {"attention_dropout", 0.0},
                   {"initializer_range", 0.02},
                   {"use_cache", true},
                   {"torch_dtype", torch_name(dtype)}};
    add_special_keys(file, plan, config);
    return config;
}

}  // namespace tandem::io_detail
