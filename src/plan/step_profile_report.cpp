// A step profile as a table and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "src/config/units.h"
#include "src/plan/step_profile.h"

namespace tandem {
namespace {

struct Line {
    std::string op;
    std::int64_t calls = 0;
    double seconds = 0, flops = 0, bytes = 0;
};

std::string label(const OpCounts::Key& call) {
    if (call.op != "matmul") return std::string(call.op);
    return fmt::format("matmul {} x {} x {}", call.extents[0], call.extents[2], call.extents[1]);
}

/// One line an op, and one a shape of the products; longest first.
std::vector<Line> lines(const OpCounts& ops) {
    std::map<std::string, Line> found;
    for (const auto& [call, record] : ops.calls()) {
        Line& line = found[label(call)];
        line.op = label(call);
        line.calls += record.calls;
        line.seconds += record.seconds;
        line.flops += static_cast<double>(call.flops * record.calls);
        line.bytes += static_cast<double>(call.bytes * record.calls);
    }
    std::vector<Line> sorted;
    for (auto& [name, line] : found) sorted.push_back(std::move(line));
    std::sort(sorted.begin(), sorted.end(), [](const Line& a, const Line& b) { return a.seconds > b.seconds; });
    return sorted;
}

/// Whether arithmetic, rather than memory traffic, is what a perfect implementation would wait for.
bool is_arithmetic(const Line& line, const StepProfile& p) {
    return line.flops / (p.matmul_tflops * 1e12) > line.bytes / (p.memory_gb_s * 1e9);
}

double share_of_limit(const Line& line, const StepProfile& p) {
    if (line.seconds <= 0) return 0;
    return std::max(line.flops / (p.matmul_tflops * 1e12), line.bytes / (p.memory_gb_s * 1e9)) / line.seconds;
}

}  // namespace

nlohmann::ordered_json to_json(const StepProfile& p) {
    nlohmann::ordered_json json = {{"schema", 1},
                                   {"device", p.device},
                                   {"work", p.work},
                                   {"tokens_per_step", p.tokens},
                                   {"step_seconds", p.median_seconds()},
                                   {"all_step_seconds", p.seconds},
                                   {"tokens_per_second", static_cast<double>(p.tokens) / p.median_seconds()},
                                   {"start_seconds", p.start_seconds},
                                   {"matmul_tflops", p.matmul_tflops},
                                   {"memory_gb_s", p.memory_gb_s},
                                   {"flops_per_token", p.flops_per_token},
                                   {"mfu", p.mfu()},
                                   {"matmul_bound_tokens_per_second", static_cast<double>(p.tokens) / p.matmul_bound_seconds},
                                   {"memory_peak_bytes", p.memory_peak_bytes},
                                   {"rss_peak_bytes", p.rss_peak_bytes},
                                   {"ops", nlohmann::ordered_json::array()}};
    for (const Line& line : lines(p.ops)) {
        json["ops"].push_back({{"op", line.op},
                               {"calls", line.calls},
                               {"seconds", line.seconds},
                               {"flops", line.flops},
                               {"bytes", line.bytes},
                               {"share_of_limit", share_of_limit(line, p)}});
    }
    return json;
}

std::string to_text(const StepProfile& p) {
    std::string text = fmt::format("{}\nlimits of this machine: matrix products {:.0f} GFLOP/s, memory {:.1f} GB/s (read + written)\n\n",
                                   p.device, p.matmul_tflops * 1e3, p.memory_gb_s);
    text += fmt::format("{:<34} {:>6} {:>10} {:>7} {:>10} {:<8} {:>9}\n", "op", "calls", "ms", "of step", "rate", "", "of limit");
    for (const Line& line : lines(p.ops)) {
        const bool arithmetic = is_arithmetic(line, p);
        text += fmt::format("{:<34} {:>6} {:>10.2f} {:>6.1f}% {:>10.1f} {:<8} {:>8.0f}%\n", line.op, line.calls, line.seconds * 1e3,
                            100 * line.seconds / p.op_seconds, (arithmetic ? line.flops : line.bytes) / line.seconds / 1e9,
                            arithmetic ? "GFLOP/s" : "GB/s", 100 * share_of_limit(line, p));
    }
    const auto tokens = static_cast<double>(p.tokens);
    text += fmt::format("\na step of {} tokens: {:.3f} s (median of {}), {:.0f} tokens/s; ops alone {:.3f} s\n", p.tokens,
                        p.median_seconds(), p.seconds.size(), tokens / p.median_seconds(), p.op_seconds);
    text += fmt::format("its matrix products at the measured limit: {:.0f} tokens/s; reached {:.0f} % of that\n",
                        tokens / p.matmul_bound_seconds, 100 * p.matmul_bound_seconds / p.median_seconds());
    text += fmt::format("model-FLOPs utilisation {:.1f} % of that limit ({:.3g} useful flops a token)\n", 100 * p.mfu(), p.flops_per_token);
    text += fmt::format("start to the end of the first step: {:.2f} s; memory {} in arenas, {} of the process\n", p.start_seconds,
                        human_bytes(p.memory_peak_bytes), human_bytes(p.rss_peak_bytes));
    if (!p.work.empty()) text += p.work + "\n";
    return text;
}

}  // namespace tandem
