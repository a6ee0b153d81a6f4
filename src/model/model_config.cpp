#include "src/model/model_config.h"

#include <array>
#include <string_view>

#include "src/io/json.h"
#include "src/io/model_directory.h"
#include "src/model/quantization_config.h"

namespace tandem {
namespace {

using nlohmann::json;
using std::filesystem::path;

/// Far above every published model: a damaged number must not keep the program busy listing layers.
constexpr std::int64_t kMostLayers = 4096;

[[noreturn]] void refuse(const path& file, std::string_view key, const std::string& found, std::string_view expected) {
    fail(Failure::Input, "{}: key '{}' is {}, which this version of tandem does not have; expected {}", file.string(), key, found,
         expected);
}

/// Typed reading of one object with messages that name the file and the key; null counts as absent.
class Reader {
public:
    Reader(const json& object, const path& file, std::string prefix = {}) : object_(object), file_(file), prefix_(std::move(prefix)) {}

    [[nodiscard]] bool has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }

    [[nodiscard]] std::int64_t count(const char* key) const {
        const json& v = required(key);
        if (!v.is_number_integer() || v.get<std::int64_t>() < 1 || v.get<std::int64_t>() > (std::int64_t{1} << 31))
            wrong(key, "a positive whole number");
        return v.get<std::int64_t>();
    }
    [[nodiscard]] std::int64_t count(const char* key, std::int64_t otherwise) const { return has(key) ? count(key) : otherwise; }

    [[nodiscard]] double number(const char* key) const {
        const json& v = required(key);
        if (!v.is_number()) wrong(key, "a number");
        return v.get<double>();
    }
    [[nodiscard]] double number(const char* key, double otherwise) const { return has(key) ? number(key) : otherwise; }

    [[nodiscard]] double positive(const char* key, double otherwise) const {
        const double v = number(key, otherwise);
        if (!(v > 0)) wrong(key, "a positive number");
        return v;
    }

    [[nodiscard]] bool flag(const char* key, bool otherwise) const {
        if (!has(key)) return otherwise;
        if (!object_.at(key).is_boolean()) wrong(key, "true or false");
        return object_.at(key).get<bool>();
    }

    [[nodiscard]] std::string text(const char* key, std::string otherwise) const {
        if (!has(key)) return otherwise;
        if (!object_.at(key).is_string()) wrong(key, "a string");
        return object_.at(key).get<std::string>();
    }

    [[nodiscard]] const json& at(const char* key) const { return object_.at(key); }
    [[nodiscard]] const path& file() const { return file_; }

    [[noreturn]] void wrong(const char* key, std::string_view expected) const {
        fail(Failure::Input, "{}: key '{}{}' is {}, expected {}", file_.string(), prefix_, key, object_.at(key).dump(), expected);
    }
    /// Refuses a key that would change the maths in a way that is not built.
    void must_be_absent(const char* key) const {
        if (!has(key)) return;
        const json& v = object_.at(key);
        if (v == false || v == 0 || v == 1.0 || (v.is_array() && v.empty())) return;
        refuse(file_, prefix_ + key, v.dump(), "it to be absent");
    }

private:
    [[nodiscard]] const json& required(const char* key) const {
        if (!has(key)) fail(Failure::Input, "{}: key '{}{}' is missing", file_.string(), prefix_, key);
        return object_.at(key);
    }
    const json& object_;
    path file_;
    std::string prefix_;
};

RopeConfig parse_rope(const Reader& config, std::int64_t head_dim, std::int64_t max_positions) {
    // transformers 5 writes `rope_parameters`; earlier files have `rope_theta` beside `rope_scaling`.
    static const json empty = json::object();
    const char* key = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
    const bool present = config.has(key);
    if (present && !config.at(key).is_object()) config.wrong(key, "an object");
    const Reader scaling(present ? config.at(key) : empty, config.file(), std::string(key) + ".");

    RopeConfig rope;
    rope.theta = scaling.positive("rope_theta", config.positive("rope_theta", 10000.0));
    const double partial = scaling.number("partial_rotary_factor", config.number("partial_rotary_factor", 1.0));
    rope.rotated = static_cast<std::int64_t>(static_cast<double>(head_dim) * partial);
    if (rope.rotated < 2 || rope.rotated > head_dim || rope.rotated % 2 != 0) {
        fail(Failure::Input, "{}: {} of {} elements of a head would be rotated; expected an even number of at least 2",
             config.file().string(), rope.rotated, head_dim);
    }
    const std::string type = scaling.text("rope_type", scaling.text("type", "default"));
    if (type == "default") return rope;
    rope.factor = scaling.positive("factor", 1.0);
    if (type == "linear") {
        rope.kind = RopeKind::Linear;
    } else if (type == "llama3") {
        rope.kind = RopeKind::Llama3;
        rope.low_frequency_factor = scaling.number("low_freq_factor");
        rope.high_frequency_factor = scaling.number("high_freq_factor");
        rope.original_positions = scaling.number("original_max_position_embeddings");
    } else if (type == "yarn") {
        rope.kind = RopeKind::Yarn;
        rope.original_positions = scaling.number("original_max_position_embeddings", static_cast<double>(max_positions));
        rope.beta_fast = scaling.number("beta_fast", 32.0);
        rope.beta_slow = scaling.number("beta_slow", 1.0);
        rope.attention_factor = scaling.number("attention_factor", 0.0);
        rope.truncate = scaling.flag("truncate", true);
        scaling.must_be_absent("mscale");
        scaling.must_be_absent("mscale_all_dim");
    } else {
        refuse(config.file(), std::string(key) + ".rope_type", "\"" + type + "\"", "default, linear, llama3 or yarn");
    }
    return rope;
}

/// Which layers slide, as each family's configuration class in transformers decides it.
std::vector<std::int64_t> parse_windows(const Reader& config, const std::string& model_type, std::int64_t layers) {
    std::vector<std::int64_t> windows(static_cast<std::size_t>(layers), 0);
    if (model_type == "llama" || !config.has("sliding_window")) return windows;
    if (model_type == "qwen2" || model_type == "qwen3") {
        if (!config.flag("use_sliding_window", false)) return windows;
    }
    const std::int64_t window = config.count("sliding_window");
    if (config.has("layer_types")) {
        const json& types = config.at("layer_types");
        if (!types.is_array() || static_cast<std::int64_t>(types.size()) != layers) config.wrong("layer_types", "one entry a layer");
        for (std::size_t l = 0; l < types.size(); ++l) {
            if (types[l] == "sliding_attention") windows[l] = window;
            else if (types[l] != "full_attention")
                refuse(config.file(), "layer_types", types[l].dump(), "full_attention or sliding_attention");
        }
        return windows;
    }
    const std::int64_t first = model_type == "mistral" ? 0 : config.count("max_window_layers", 28);
    for (std::int64_t l = first; l < layers; ++l) windows[static_cast<std::size_t>(l)] = window;
    return windows;
}

Activation parse_activation(const Reader& config) {
    const std::string name = config.text("hidden_act", "silu");
    if (name == "silu" || name == "swish") return Activation::SiLU;
    if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::GeluTanh;
    refuse(config.file(), "hidden_act", "\"" + name + "\"", "silu or gelu_pytorch_tanh");
}

std::string parse_family(const Reader& config) {
    const std::string type = config.text("model_type", "");
    static constexpr std::array<std::string_view, 4> known = {"llama", "mistral", "qwen2", "qwen3"};
    for (const auto k : known) {
        if (type == k) return type;
    }
    refuse(config.file(), "model_type", type.empty() ? "missing" : "\"" + type + "\"", "llama, mistral, qwen2 or qwen3");
}

}  // namespace

std::int64_t ModelConfig::matrix_parameters() const {
    return layers * (hidden * query_width() * 2 + hidden * kv_width() * 2 + 3 * hidden * ffn) + vocabulary * hidden;
}

ModelConfig parse_model_config(const json& json, const path& file) {
    if (!json.is_object()) fail(Failure::Input, "{}: expected a JSON object", file.string());
    const Reader config(json, file);
    ModelConfig m;
    m.source = std::make_shared<const nlohmann::json>(json);
    m.model_type = parse_family(config);
    m.hidden = config.count("hidden_size");
    m.layers = config.count("num_hidden_layers");
    if (m.layers > kMostLayers) config.wrong("num_hidden_layers", fmt::format("at most {}", kMostLayers));
    m.heads = config.count("num_attention_heads");
    m.kv_heads = config.count("num_key_value_heads", m.model_type == "mistral" ? 8 : (m.model_type == "llama" ? m.heads : 32));
    m.head_dim = config.count("head_dim", m.model_type == "qwen3" ? 128 : m.hidden / m.heads);
    m.ffn = config.count("intermediate_size");
    m.vocabulary = config.count("vocab_size");
    m.max_positions = config.count("max_position_embeddings", 2048);
    if (m.heads % m.kv_heads != 0) {
        fail(Failure::Input, "{}: num_attention_heads {} is not a multiple of num_key_value_heads {}", file.string(), m.heads, m.kv_heads);
    }
    if (!config.has("head_dim") && m.model_type != "qwen3" && m.hidden % m.heads != 0) {
        fail(Failure::Input, "{}: hidden_size {} is not a multiple of num_attention_heads {} and there is no head_dim", file.string(),
             m.hidden, m.heads);
    }
    m.norm.eps = config.positive("rms_norm_eps", 1e-6);
    m.activation = parse_activation(config);
    m.tied_head = config.flag("tie_word_embeddings", false);
    m.qk_norm = m.model_type == "qwen3";
    if (m.model_type == "llama") {
        m.qkv_bias = m.output_bias = config.flag("attention_bias", false);
        m.mlp_bias = config.flag("mlp_bias", false);
    } else if (m.model_type == "qwen2") {
        m.qkv_bias = true;
    } else if (m.model_type == "qwen3") {
        m.qkv_bias = m.output_bias = config.flag("attention_bias", false);
    }
    m.initializer_range = config.number("initializer_range", 0.02);
    m.rope = parse_rope(config, m.head_dim, m.max_positions);
    m.windows = parse_windows(config, m.model_type, m.layers);
    m.quantization = parse_quantization_config(json, file);
    for (const char* key :
         {"attn_logit_softcapping", "final_logit_softcapping", "attention_dropout", "embedding_multiplier", "residual_multiplier",
          "logits_scaling", "attention_multiplier", "no_rope_layers", "num_local_experts", "num_experts"}) {
        config.must_be_absent(key);
    }
    return m;
}

ModelConfig load_model_config(const path& directory) {
    const path file = directory / "config.json";
    ModelConfig model = parse_model_config(read_model_json(file), file);
    if (model.quantization) model.quantization = stored_quantization(model, directory);
    return model;
}

}  // namespace tandem
