// Writes hardware files: every key that says more than its default.
#include <fmt/format.h>

#include "src/config/value.h"
#include "src/plan/hardware.h"

namespace tandem {
namespace {

/// Lines `key = value` of a section, which is left out where there are none.
class Section {
public:
    explicit Section(std::string_view name) : head_(fmt::format("[{}]\n", name)) {}
    Section& add(std::string_view key, const auto& value) {
        lines_ += fmt::format("{} = {}\n", key, value);
        return *this;
    }
    Section& add(std::string_view key, double value) { return add(key, shortest(value)); }
    template <class T>
    Section& add(std::string_view key, const std::optional<T>& value) {
        return value ? add(key, *value) : *this;
    }
    /// Unless it is what is meant where the key is not there.
    template <class T>
    Section& add_unless(const T& usual, std::string_view key, const T& value) {
        return value == usual ? *this : add(key, value);
    }
    void add_lines(const std::string& lines) { lines_ += lines; }
    [[nodiscard]] std::string text() const { return lines_.empty() ? "" : head_ + lines_ + "\n"; }
    [[nodiscard]] const std::string& lines() const { return lines_; }

private:
    std::string head_, lines_;
};

/// The lines of a card; `prefix` names one of several.
std::string card_lines(const Gpu& g, const std::string& prefix) {
    Section lines("");
    lines.add(prefix + "name", g.name).add(prefix + "backend", g.backend).add(prefix + "memory", g.memory);
    lines.add_unless(std::uint64_t{0}, prefix + "reserved", g.reserved);
    if (g.library_attention) lines.add(prefix + "attention", "cudnn");
    lines.add(prefix + "bf16_tflops", g.bf16_tflops).add(prefix + "fp16_tflops", g.fp16_tflops).add(prefix + "fp32_tflops", g.fp32_tflops);
    lines.add(prefix + "sustained_tflops", g.sustained_tflops).add(prefix + "memory_bandwidth", g.memory_bandwidth);
    return lines.add(prefix + "power", g.power).add(prefix + "price", g.price).lines();
}

std::string cards(const std::vector<Gpu>& gpus) {
    Section section("gpu");
    section.add_lines(card_lines(gpus.front(), ""));
    for (std::size_t i = 1; i < gpus.size(); ++i) {
        if (gpus[i] != gpus.front()) section.add_lines(card_lines(gpus[i], fmt::format("{}.", i)));
    }
    return section.text();
}

std::string node(const Hardware& h) {
    static constexpr std::string_view kLinks[] = {"pcie", "bridge", "nvswitch", "memory"};
    const Hardware usual;
    Section section("node");
    section.add("gpus", h.gpus.size()).add("link", kLinks[static_cast<std::size_t>(h.link)]);
    if (h.link_bandwidth > 0) section.add("link_bandwidth", h.link_bandwidth);
    section.add("link_latency", h.link_latency).add("p2p", h.p2p ? "yes" : "no");
    std::string pairs;
    for (const auto& [a, b] : h.bridge_pairs) pairs += fmt::format("{}{}-{}", pairs.empty() ? "" : ",", a, b);
    if (!pairs.empty()) section.add("bridge_pairs", pairs);
    section.add("bridge_bandwidth", h.bridge_bandwidth).add("host_bandwidth", h.host_bandwidth);
    section.add_unless(usual.host_memory_bandwidth, "host_memory_bandwidth", h.host_memory_bandwidth);
    return section.add("host_memory", h.host_memory).text();
}

void add_rates(Section& section, const std::map<std::string, RateCurve>& rates) {
    for (const auto& [verb, curve] : rates) {
        std::string points;
        for (const auto& [bytes, rate] : curve) points += fmt::format("{}{}:{}", points.empty() ? "" : ", ", bytes, shortest(rate));
        section.add(verb, points);
    }
}

}  // namespace

std::string to_ini(const Hardware& h) {
    const Hardware usual;
    Section network("network"), measured("measured");
    network.add("bandwidth", h.network_bandwidth).add_unless(usual.network_latency, "latency", h.network_latency);
    if (!h.gpudirect) network.add("gpudirect", "no");
    add_rates(network, h.network_rates);
    add_rates(measured, h.node_rates);
    measured.add_unless(std::string(), "matmul", h.measured_matmul).add_unless(std::string(), "attention", h.measured_attention);
    return Section("hardware").add("name", h.name).add("nodes", h.nodes).text() + cards(h.gpus) + node(h) + network.text() +
           measured.text();
}

}  // namespace tandem
