// Reads hardware files: one table of keys, so that parsing, checks and messages agree.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "kernels/base/error.h"
#include "src/config/ini.h"
#include "src/config/suggest.h"
#include "src/config/value.h"
#include "src/plan/hardware.h"

namespace tandem {
namespace {

bool parse_yes(std::string_view text) { return parse_bool(text); }

std::string parse_backend(std::string_view text) {
    if (text != "cuda" && text != "cpu") throw BadValue("cuda or cpu");
    return std::string(text);
}

bool parse_attention(std::string_view text) {
    if (text != "own" && text != "cudnn") throw BadValue("own or cudnn");
    return text == "cudnn";
}

Link parse_link(std::string_view text) {
    if (text == "pcie") return Link::Pcie;
    if (text == "bridge") return Link::Bridge;
    if (text == "nvswitch") return Link::NvSwitch;
    if (text == "memory") return Link::Memory;
    throw BadValue("pcie, bridge, nvswitch or memory");
}

double positive(std::string_view text) { return parse_real(text, above(0)); }

/// "0-1, 2-3"
std::vector<std::pair<int, int>> parse_pairs(std::string_view text) {
    std::vector<std::pair<int, int>> pairs;
    for (const auto& word : parse_list(text)) {
        const auto dash = word.find('-');
        if (dash == std::string::npos) throw BadValue("pairs of local cards such as 0-1,2-3");
        pairs.emplace_back(static_cast<int>(parse_integer(word.substr(0, dash), at_least(0))),
                           static_cast<int>(parse_integer(word.substr(dash + 1), at_least(0))));
    }
    return pairs;
}

/// "1MiB:17.1, 1GiB:94.2"
RateCurve parse_curve(std::string_view text) {
    RateCurve curve;
    for (const auto& word : parse_list(text)) {
        const auto colon = word.find(':');
        if (colon == std::string::npos) throw BadValue("pairs BYTES:RATE such as 1MiB:17.1, 1GiB:94.2");
        curve[parse_bytes(trimmed(word.substr(0, colon)))] = positive(trimmed(word.substr(colon + 1)));
    }
    return curve;
}

using SetGpu = std::function<void(Gpu&, std::string_view)>;
using SetHardware = std::function<void(Hardware&, std::string_view)>;

const std::map<std::string, SetGpu, std::less<>>& gpu_keys() {
    static const std::map<std::string, SetGpu, std::less<>> keys = {
        {"name", [](Gpu& g, auto text) { g.name = text; }},
        {"backend", [](Gpu& g, auto text) { g.backend = parse_backend(text); }},
        {"attention", [](Gpu& g, auto text) { g.library_attention = parse_attention(text); }},
        {"memory", [](Gpu& g, auto text) { g.memory = parse_bytes(text); }},
        {"reserved", [](Gpu& g, auto text) { g.reserved = parse_bytes(text); }},
        {"bf16_tflops", [](Gpu& g, auto text) { g.bf16_tflops = positive(text); }},
        {"fp16_tflops", [](Gpu& g, auto text) { g.fp16_tflops = positive(text); }},
        {"fp32_tflops", [](Gpu& g, auto text) { g.fp32_tflops = positive(text); }},
        {"sustained_tflops", [](Gpu& g, auto text) { g.sustained_tflops = positive(text); }},
        {"memory_bandwidth", [](Gpu& g, auto text) { g.memory_bandwidth = positive(text); }},
        {"power", [](Gpu& g, auto text) { g.power = parse_real(text, at_least(0)); }},
        {"price", [](Gpu& g, auto text) { g.price = parse_real(text, at_least(0)); }},
    };
    return keys;
}

const std::map<std::string, SetHardware, std::less<>>& machine_keys() {
    static const auto keys = [] {
        std::map<std::string, SetHardware, std::less<>> table = {
            {"hardware.name", [](Hardware& h, auto text) { h.name = text; }},
            {"hardware.nodes", [](Hardware& h, auto text) { h.nodes = parse_integer(text, at_least(1)); }},
            {"node.gpus",
             [](Hardware& h, auto text) {
                 h.gpus.resize(static_cast<std::size_t>(parse_integer(text, {1, 1024})));
             }},
            {"node.link", [](Hardware& h, auto text) { h.link = parse_link(text); }},
            {"node.link_bandwidth", [](Hardware& h, auto text) { h.link_bandwidth = positive(text); }},
            {"node.link_latency", [](Hardware& h, auto text) { h.link_latency = parse_real(text, at_least(0)); }},
            {"node.p2p", [](Hardware& h, auto text) { h.p2p = parse_yes(text); }},
            {"node.bridge_pairs", [](Hardware& h, auto text) { h.bridge_pairs = parse_pairs(text); }},
            {"node.bridge_bandwidth", [](Hardware& h, auto text) { h.bridge_bandwidth = positive(text); }},
            {"node.host_bandwidth", [](Hardware& h, auto text) { h.host_bandwidth = positive(text); }},
            {"node.host_memory_bandwidth", [](Hardware& h, auto text) { h.host_memory_bandwidth = positive(text); }},
            {"node.host_memory", [](Hardware& h, auto text) { h.host_memory = parse_bytes(text); }},
            {"network.bandwidth", [](Hardware& h, auto text) { h.network_bandwidth = positive(text); }},
            {"network.latency", [](Hardware& h, auto text) { h.network_latency = parse_real(text, at_least(0)); }},
            {"network.gpudirect", [](Hardware& h, auto text) { h.gpudirect = parse_yes(text); }},
            {"measured.matmul", [](Hardware& h, auto text) { h.measured_matmul = text; }},
            {"measured.attention", [](Hardware& h, auto text) { h.measured_attention = text; }},
        };
        for (const std::string verb : {"all_reduce", "all_gather", "reduce_scatter", "send"}) {
            table["measured." + verb] = [verb](Hardware& h, auto text) { h.node_rates[verb] = parse_curve(text); };
            table["network." + verb] = [verb](Hardware& h, auto text) { h.network_rates[verb] = parse_curve(text); };
        }
        return table;
    }();
    return keys;
}

/// "gpu.memory" and "gpu.2.memory": the card (-1 = all) and its key; nothing for other keys.
struct GpuKey {
    std::int64_t card;
    std::string leaf;
};
std::optional<GpuKey> gpu_key(std::string_view key) {
    if (!key.starts_with("gpu.")) return std::nullopt;
    key.remove_prefix(4);
    GpuKey found{-1, ""};
    if (const auto dot = key.find('.'); dot != std::string_view::npos) {
        const auto number = key.substr(0, dot);
        if (number.empty() || number.size() > 3 || !std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; }))
            return std::nullopt;
        found.card = std::stoll(std::string(number));
        key.remove_prefix(dot + 1);
    }
    found.leaf = key;
    if (!gpu_keys().contains(found.leaf)) return std::nullopt;
    return found;
}

const KeySet& hardware_keys() {
    static const KeySet keys{{"hardware", "gpu", "node", "network", "measured"},
                             [](std::string_view key) { return machine_keys().contains(key) || gpu_key(key).has_value(); },
                             [](std::string_view key) {
                                 std::vector<std::string> names;
                                 for (const auto& [name, set] : machine_keys()) names.push_back(name);
                                 for (const auto& [name, set] : gpu_keys()) names.push_back("gpu." + name);
                                 return did_you_mean(key, names);
                             }};
    return keys;
}

void check(const Hardware& h, const std::string& path) {
    const auto need = [&](bool there, std::string_view key, std::string_view what) {
        if (!there) fail(Failure::Configuration, "{}: {} is missing: {}", path, key, what);
    };
    for (std::size_t i = 0; i < h.gpus.size(); ++i) {
        const Gpu& g = h.gpus[i];
        need(g.memory > 0, "gpu.memory", "what a card has, such as 24GiB");
        need(g.bf16_tflops > 0, "gpu.bf16_tflops", "the specified dense rate, 10^12/s");
        need(g.memory_bandwidth > 0, "gpu.memory_bandwidth", "the specified rate, 10^9 B/s");
        if (g.reserved >= g.memory)
            fail(Failure::Configuration, "{}: gpu.reserved = {} leaves nothing of gpu.memory = {}", path, g.reserved, g.memory);
    }
    need(h.gpus.size() == 1 || h.link_bandwidth > 0, "node.link_bandwidth", "10^9 B/s each way through one card's port");
    need(h.nodes == 1 || h.network_bandwidth, "network.bandwidth", "hardware.nodes is above 1: 10^9 B/s between nodes");
    for (const auto& [a, b] : h.bridge_pairs) {
        const auto cards = static_cast<int>(h.gpus.size());
        if (a < cards && b < cards && a != b) continue;
        fail(Failure::Configuration, "{}: node.bridge_pairs has {}-{}, but the node's {} cards count from 0", path, a, b, cards);
    }
}

}  // namespace

Hardware parse_hardware(const std::string& text, const std::string& path) {
    const auto settings = parse_ini(text, path, hardware_keys());
    Hardware h;
    h.gpus.resize(1);
    const auto apply = [&](const Setting& s, const auto& set) {
        if (s.value.empty()) fail(Failure::Configuration, "{}:{}: {} has no value", path, s.line, s.key);
        try {
            set();
        } catch (const BadValue& expected) {
            fail(Failure::Configuration, "{}:{}: {} = {}: expected {}", path, s.line, s.key, s.value, expected.what());
        }
    };
    for (const Setting& s : settings) {
        if (const auto found = machine_keys().find(s.key); found != machine_keys().end()) apply(s, [&] { found->second(h, s.value); });
    }
    for (const bool single : {false, true}) {  // a card's own values win, wherever they stand
        for (const Setting& s : settings) {
            const auto key = gpu_key(s.key);
            if (!key || (key->card >= 0) != single) continue;
            if (key->card >= static_cast<std::int64_t>(h.gpus.size()))
                fail(Failure::Configuration, "{}:{}: {}: the node's {} cards count from 0", path, s.line, s.key, h.gpus.size());
            for (std::size_t i = 0; i < h.gpus.size(); ++i) {
                if (key->card < 0 || key->card == static_cast<std::int64_t>(i))
                    apply(s, [&] { gpu_keys().at(key->leaf)(h.gpus[i], s.value); });
            }
        }
    }
    check(h, path);
    return h;
}

Hardware load_hardware(const std::string& path) { return parse_hardware(read_text(path), path); }

}  // namespace tandem
