// The machine a run is planned for: what a hardware file says (INI, docs/planning.md has every key), or what this machine is
// measured to be.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/dtype.h"

namespace tandem {

enum class Link : std::uint8_t { Pcie, Bridge, NvSwitch, Memory };

/// One processor with its own memory.
struct Gpu {
    std::string name = "unnamed";
    std::string backend = "cuda";       ///< "cuda" or "cpu"
    bool library_attention = false;     ///< device.attention = auto is cuDNN's on it
    std::uint64_t memory = 0;           ///< bytes it has
    std::uint64_t reserved = 0;         ///< bytes for others: display, other programs
    double bf16_tflops = 0;             ///< dense, specified, 10^12/s
    std::optional<double> fp16_tflops;  ///< absent: as bf16
    std::optional<double> fp32_tflops;  ///< absent: a quarter of bf16
    std::optional<double> sustained_tflops;
    double memory_bandwidth = 0;  ///< 10^9 B/s, specified
    std::optional<double> power, price;

    /// Rate that large matrix products of this type reach, flops a second.
    [[nodiscard]] double matmul_rate(DType type) const;
    friend bool operator==(const Gpu&, const Gpu&) = default;
};

/// Measured rates of a collective: bytes -> 10^9 B/s (busbw of nccl-tests), ascending.
using RateCurve = std::map<std::uint64_t, double>;

struct Hardware {
    std::string name = "unnamed";
    std::int64_t nodes = 1;
    std::vector<Gpu> gpus;  ///< of one node, by local rank
    Link link = Link::Pcie;
    double link_bandwidth = 0;  ///< 10^9 B/s each way through one port
    double link_latency = 5;    ///< us
    bool p2p = true;
    std::vector<std::pair<int, int>> bridge_pairs;
    std::optional<double> bridge_bandwidth;
    std::optional<double> host_bandwidth;
    double host_memory_bandwidth = 150;
    std::optional<std::uint64_t> host_memory;
    std::optional<double> network_bandwidth;
    double network_latency = 5;
    bool gpudirect = true;
    std::map<std::string, RateCurve> node_rates, network_rates;  ///< "all_reduce", "all_gather", "reduce_scatter", "send"
    std::string measured_matmul, measured_attention;             ///< as written by `bench`

    [[nodiscard]] std::int64_t ranks() const { return nodes * static_cast<std::int64_t>(gpus.size()); }
    [[nodiscard]] const Gpu& gpu_of(std::int64_t rank) const { return gpus[static_cast<std::size_t>(rank) % gpus.size()]; }
    friend bool operator==(const Hardware&, const Hardware&) = default;
};

/// Reads and checks a hardware file. Throws Configuration naming file, line and key.
[[nodiscard]] Hardware load_hardware(const std::string& path);
[[nodiscard]] Hardware parse_hardware(const std::string& text, const std::string& path);
/// A file that parse_hardware() reads back as the same.
[[nodiscard]] std::string to_ini(const Hardware& hardware);

}  // namespace tandem
