// `tandem plan` for people.
#include <fmt/format.h>

#include <algorithm>

#include "src/config/units.h"
#include "src/plan/run_plan.h"

namespace tandem {

namespace {

/// One column a pipeline stage.
std::string memory_table(const MemoryPlan& memory) {
    const bool one = memory.stages.size() == 1;
    std::string text = one ? "\nmemory of a rank\n" : "\nmemory of a rank, by pipeline stage\n";
    const auto line = [&](std::string_view what, auto bytes_of) {
        text += fmt::format("  {:<16}", what);
        for (const StagePlan& stage : memory.stages) text += fmt::format("{:>12}", human_bytes(bytes_of(stage)));
        text += "\n";
    };
    for (std::size_t k = 0; k < kMemoryKinds; ++k) {
        const bool used = std::any_of(memory.stages.begin(), memory.stages.end(), [&](const StagePlan& s) { return s.bytes[k] > 0; });
        if (used) line(name(static_cast<MemoryKind>(k)), [&](const StagePlan& s) { return s.bytes[k]; });
    }
    line("peak", [](const StagePlan& s) { return s.peak(); });
    if (memory.host() > 0) line("host memory", [](const StagePlan& s) { return s.host; });
    return text;
}

}  // namespace

std::string to_text(const RunPlan& plan, const RunConfig& config, const Hardware& hardware) {
    const auto row = [](std::string_view what, const std::string& value) { return fmt::format("  {:<16}{}\n", what, value); };
    std::string text = fmt::format("{} on {}: {} rank{}, {} micro-batch{} of {} x {} tokens a step\n", config.model.path, hardware.name,
                                   plan.ranks, plan.ranks == 1 ? "" : "s", plan.layout.accumulation,
                                   plan.layout.accumulation == 1 ? "" : "es", config.training.micro_batch_size, config.data.max_seq_length);
    text += row("parameters", fmt::format("{:.2f} M, {:.2f} M trained", static_cast<double>(plan.memory.parameters) / 1e6,
                                          static_cast<double>(plan.memory.trainable) / 1e6));
    text += row("layout", describe(plan.memory.split));
    text += row("recompute", plan.memory.policy == ActivationPolicy::Recompute ? "full" : "none");
    text += memory_table(plan.memory);
    const std::size_t capacity = *std::min_element(plan.capacity.begin(), plan.capacity.end());
    if (plan.context > 0) text += row("driver, context", fmt::format("{:>12}", human_bytes(plan.context)));
    text += row("has", fmt::format("{:>12}: {}", human_bytes(capacity), plan.fits ? "fits" : "does NOT fit"));
    const double rate = plan.tokens_per_step / plan.time.total();
    text += fmt::format("\na step: {:.3g} s, {:.{}f} tokens/s, {:.1f} % of the specified flops\n", plan.time.total(), rate,
                        rate < 10 ? 3 : 0, 100 * plan.mfu);
    const StepTime& t = plan.time;
    for (const auto& [cause, seconds] : {std::pair{"compute", t.compute},
                                         {"recompute", t.recompute},
                                         {"communication", t.communication},
                                         {"bubble", t.bubble},
                                         {"optimizer", t.optimizer},
                                         {"offload", t.offload}}) {
        if (seconds > 1e-9 * t.total()) text += row(cause, fmt::format("{:.3g} s", seconds));
    }
    if (!plan.suggestions.empty()) text += "\nwhat would lower it\n";
    for (const auto& [s, seconds] : plan.suggestions) {
        text += fmt::format("  {}: {} a rank{}, {:.3g} s a step\n", s.change, human_bytes(s.plan.peak()), s.fits ? " (fits)" : "", seconds);
    }
    return text;
}

}  // namespace tandem
