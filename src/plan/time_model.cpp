#include "src/plan/time_model.h"

#include <algorithm>
#include <cmath>

namespace tandem {
namespace {

constexpr double kGiga = 1e9;
/// Attention reaches this share of the rate of large matrix products.
constexpr double kAttentionShare = 0.5;
/// Specified memory bandwidth that streaming ops reach.
constexpr double kBandwidthShare = 0.85;

/// 10^9 B/s of `bytes` on a measured curve: linear in log(bytes) between its points, flat beyond them.
double rate_at(const RateCurve& curve, double bytes) {
    const auto above = curve.lower_bound(static_cast<std::uint64_t>(bytes));
    if (above == curve.begin()) return above->second;
    const auto below = std::prev(above);
    if (above == curve.end()) return below->second;
    const double t = (std::log(bytes) - std::log(static_cast<double>(below->first))) /
                     (std::log(static_cast<double>(above->first)) - std::log(static_cast<double>(below->first)));
    return below->second + t * (above->second - below->second);
}

/// The link that ranks `apart` ranks apart, or a group of that extent, use.
struct Way {
    double rate, latency;
    const std::map<std::string, RateCurve>& measured;
};
Way way(const Hardware& h, std::int64_t extent) {
    if (extent > static_cast<std::int64_t>(h.gpus.size())) return {*h.network_bandwidth, h.network_latency * 1e-6, h.network_rates};
    const double through_host = h.host_bandwidth.value_or(h.link_bandwidth) / 2;
    return {h.p2p ? h.link_bandwidth : std::min(h.link_bandwidth, through_host), h.link_latency * 1e-6, h.node_rates};
}

double rate_of(const Way& way, const std::string& verb, double bytes) {
    const auto found = way.measured.find(verb);
    return (found != way.measured.end() ? rate_at(found->second, bytes) : way.rate) * kGiga;
}

/// Seconds of the collectives of a group of `ranks` that spans `extent` ranks: rings through the slowest link on their way.
double traffic_seconds(const TrafficCounts& traffic, const Hardware& h, std::int64_t ranks, std::int64_t extent) {
    if (ranks == 1) return 0;
    const Way w = way(h, extent);
    const double n = static_cast<double>(ranks);
    double seconds = 0;
    for (const auto& [call, times] : traffic) {
        const double rounds = call.first == "all_reduce" ? 2 : 1, bytes = static_cast<double>(call.second);
        const double one = rounds * (n - 1) / n * bytes / rate_of(w, std::string(call.first), bytes) + rounds * (n - 1) * w.latency;
        seconds += static_cast<double>(times) * one;
    }
    return seconds;
}

/// The slowest card that holds a part of this stage.
const Gpu& card_of(const Hardware& h, const Split& split, int stage) {
    const std::int64_t a_stage = std::int64_t{split.sizes.data} * split.sizes.tensor;
    const Gpu* slowest = nullptr;
    for (std::int64_t r = stage * a_stage; r < (stage + 1) * a_stage; ++r) {
        const Gpu& gpu = h.gpu_of(r);
        if (!slowest || gpu.matmul_rate(DType::BF16) < slowest->matmul_rate(DType::BF16)) slowest = &gpu;
    }
    return *slowest;
}

}  // namespace

double seconds_of(const OpCounts& counts, const Gpu& gpu, DType dtype) {
    const double rate = gpu.matmul_rate(dtype), bandwidth = gpu.memory_bandwidth * kBandwidthShare * kGiga;
    double seconds = 0;
    for (const auto& [call, record] : counts.calls()) {
        const double share = call.op.starts_with("attention") ? kAttentionShare : 1.0;
        const double one = std::max(static_cast<double>(call.flops) / (rate * share), static_cast<double>(call.bytes) / bandwidth);
        seconds += one * static_cast<double>(record.calls);
    }
    return seconds;
}

InstructionSeconds instruction_seconds(const PlanSubject& subject, const MemoryPlan& plan, const Hardware& h, int stage,
                                       const Instruction& in) {
    const MeshIndex& sizes = plan.split.sizes;
    InstructionSeconds seconds;
    const InstructionCost& cost = plan.stages[static_cast<std::size_t>(stage)].cost(in);
    seconds.compute = seconds_of(cost.ops, card_of(h, plan.split, stage), subject.config.model.dtype);
    seconds.communication = traffic_seconds(cost.tensor, h, sizes.tensor, sizes.tensor) +
                            traffic_seconds(cost.data, h, sizes.data, std::int64_t{sizes.data} * sizes.tensor);
    if (in.op == Op::Update) {
        const double rate = h.host_bandwidth.value_or(h.link_bandwidth) * kGiga;
        seconds.offload = std::max(0.0, static_cast<double>(cost.ops.copied()) / rate - seconds.compute);
    }
    return seconds;
}

double message_seconds(const MemoryPlan& plan, const Hardware& h, int stage) {
    const Way w = way(h, std::int64_t{plan.split.sizes.data} * plan.split.sizes.tensor + 1);
    const auto bytes = static_cast<double>(plan.stages[static_cast<std::size_t>(stage)].message);
    return bytes / rate_of(w, "send", bytes) + w.latency;
}

double useful_flops_per_token(const RunConfig& config, const MemoryPlan& plan, const ModelConfig& model) {
    const auto embedding = static_cast<double>(model.vocabulary * model.hidden);
    // A looked-up embedding multiplies nothing; a tied one is the head as well.
    const double looked_up = model.tied_head ? 0 : embedding;
    const auto trained = static_cast<double>(plan.trainable), all = static_cast<double>(plan.parameters);
    const bool full = config.method.type == Method::Full;
    const double weights = full ? 6 * (trained - looked_up) : 6 * trained + 4 * (all - trained - looked_up);
    double attention = 0;
    for (const std::int64_t window : model.windows) {
        const auto length = static_cast<double>(config.data.max_seq_length);
        const double seen = window > 0 && static_cast<double>(window) < length ? static_cast<double>(window) : length / 2;
        attention += 3 * 4 * seen * static_cast<double>(model.heads * model.head_dim);
    }
    return weights + attention;
}

std::vector<std::string> assumptions() {
    return {
        fmt::format("every sequence has data.max_seq_length tokens and every position is trained"),
        fmt::format("an op takes the longer of its arithmetic at the sustained matrix-product rate ({} of it for attention) and its memory "
                    "traffic at {} of the specified bandwidth",
                    kAttentionShare, kBandwidthShare),
        "collectives are rings through the slowest link of their group; those of a rank do not overlap with what it computes",
        "preparing data, validation and checkpoints are not counted",
    };
}

}  // namespace tandem
