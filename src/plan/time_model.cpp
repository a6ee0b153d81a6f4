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

/// Seconds of one all-reduce over `ranks`: a ring through the slowest link on its way.
double all_reduce_seconds(const Hardware& h, std::int64_t ranks, double bytes) {
    if (ranks == 1) return 0;
    const bool between_nodes = ranks > static_cast<std::int64_t>(h.gpus.size());
    const auto& measured = between_nodes ? h.network_rates : h.node_rates;
    double rate = between_nodes ? *h.network_bandwidth : h.link_bandwidth;
    if (!between_nodes && !h.p2p) rate = std::min(rate, h.host_bandwidth.value_or(h.link_bandwidth) / 2);
    if (const auto found = measured.find("all_reduce"); found != measured.end()) rate = rate_at(found->second, bytes);
    const double latency = (between_nodes ? h.network_latency : h.link_latency) * 1e-6;
    const double n = static_cast<double>(ranks);
    return 2 * (n - 1) / n * bytes / (rate * kGiga) + 2 * (n - 1) * latency;
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

StepTime step_time(const PlanSubject& subject, const MemoryPlan& plan, const Hardware& hardware) {
    StepTime mean;
    (void)subject, (void)plan, (void)hardware;
    return mean;
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

std::vector<std::string> assumptions(const Hardware& hardware) {
    std::vector<std::string> sentences = {
        fmt::format("every sequence has data.max_seq_length tokens and every position is trained"),
        fmt::format("an op takes the longer of its arithmetic at the sustained matrix-product rate ({} of it for attention) and its memory "
                    "traffic at {} of the specified bandwidth",
                    kAttentionShare, kBandwidthShare),
        "gradients are all-reduced after the last micro-batch, in a ring through the slowest link, and nothing overlaps",
        "preparing data, validation and checkpoints are not counted",
    };
    if (hardware.gpus.front().backend == "cuda")
        sentences.emplace_back("the workspace of GPU ops is not modelled yet: that of the cpu backend is counted in its place");
    return sentences;
}

}  // namespace tandem
