#include "src/plan/hardware.h"

#include <fmt/format.h>

#include "src/config/value.h"

namespace tandem {

double Gpu::matmul_rate(DType type) const {
    constexpr double kTera = 1e12, kSustained = 0.85, kFp32Share = 0.25;
    double specified = bf16_tflops;
    if (type == DType::F16) specified = fp16_tflops.value_or(bf16_tflops);
    if (type == DType::F32) specified = fp32_tflops.value_or(bf16_tflops * kFp32Share);
    const double share = sustained_tflops ? *sustained_tflops / bf16_tflops : kSustained;
    return specified * share * kTera;
}

std::string to_ini(const Hardware& h) {
    static constexpr std::string_view kLinks[] = {"pcie", "bridge", "nvswitch", "memory"};
    const Gpu& g = h.gpus.front();
    std::string text = fmt::format("[hardware]\nname = {}\nnodes = {}\n\n[gpu]\nname = {}\nbackend = {}\nmemory = {}\n", h.name, h.nodes,
                                   g.name, g.backend, g.memory);
    if (g.reserved > 0) text += fmt::format("reserved = {}\n", g.reserved);
    text += fmt::format("bf16_tflops = {}\n", shortest(g.bf16_tflops));
    if (g.fp32_tflops) text += fmt::format("fp32_tflops = {}\n", shortest(*g.fp32_tflops));
    if (g.sustained_tflops) text += fmt::format("sustained_tflops = {}\n", shortest(*g.sustained_tflops));
    text += fmt::format("memory_bandwidth = {}\n\n[node]\ngpus = {}\nlink = {}\nlink_bandwidth = {}\nlink_latency = {}\n",
                        shortest(g.memory_bandwidth), h.gpus.size(), kLinks[static_cast<std::size_t>(h.link)], shortest(h.link_bandwidth),
                        shortest(h.link_latency));
    if (h.network_bandwidth) {
        text += fmt::format("\n[network]\nbandwidth = {}\nlatency = {}\n", shortest(*h.network_bandwidth), shortest(h.network_latency));
    }
    for (const auto& [section, rates] : {std::pair{"measured", h.node_rates}, {"network", h.network_rates}}) {
        for (const auto& [verb, curve] : rates) {
            std::string points;
            for (const auto& [bytes, rate] : curve) points += fmt::format("{}{}:{}", points.empty() ? "" : ", ", bytes, shortest(rate));
            text += fmt::format("\n[{}]\n{} = {}\n", section, verb, points);
        }
    }
    return text;
}

}  // namespace tandem
