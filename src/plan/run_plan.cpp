#include "src/plan/run_plan.h"

#include <algorithm>

#include "src/plan/library_memory.h"

namespace tandem {
namespace {

/// The configuration as planned: what a hardware file has is what device.backend = auto and device.attention = auto would find there.
RunConfig on_hardware(RunConfig config, const Hardware& hardware) {
    if (config.device.backend == DeviceBackend::Auto)
        config.device.backend = hardware.gpus.front().backend == "cpu" ? DeviceBackend::Cpu : DeviceBackend::Cuda;
    settle_attention(config, std::ranges::all_of(hardware.gpus, [](const Gpu& gpu) { return gpu.library_attention; }));
    return config;
}

double utilisation(const RunPlan& plan, const Hardware& hardware) {
    double rate = 0;
    for (std::int64_t r = 0; r < plan.ranks; ++r) rate += hardware.gpu_of(r).bf16_tflops * 1e12;
    return plan.tokens_per_step / plan.time.total() * plan.flops_per_token / rate;
}

/// Whether each rank's stage fits its own card: cards, and stages, may differ.
bool every_rank_fits(const RunPlan& plan) {
    for (std::int64_t r = 0; r < plan.ranks; ++r) {
        const int stage = coordinates(plan.memory.split.sizes, static_cast<int>(r)).pipeline;
        const std::size_t capacity = plan.capacity[static_cast<std::size_t>(r) % plan.capacity.size()];
        if (plan.memory.stages[static_cast<std::size_t>(stage)].peak() + plan.context > capacity) return false;
    }
    return true;
}

}  // namespace

RunPlan plan_run(const RunConfig& given, const Hardware& hardware, std::int64_t ranks, int threads) {
    const RunConfig config = on_hardware(given, hardware);
    RunPlan plan;
    plan.ranks = ranks;
    plan.layout = resolve_layout(config, ranks, Purpose::Plan);
    for (const Gpu& gpu : hardware.gpus) {
        const std::size_t all = gpu.memory - gpu.reserved;
        plan.capacity.push_back(config.device.memory_limit ? std::min<std::size_t>(all, *config.device.memory_limit) : all);
    }
    const PlanSubject subject{config, plan.layout, Purpose::Train, threads};
    const auto on_node = std::min<std::int64_t>(ranks, static_cast<std::int64_t>(hardware.gpus.size()));
    if (hardware.gpus.front().backend != "cpu") plan.context = library_memory(subject, {.ranks = static_cast<int>(on_node)});
    const std::size_t least = *std::min_element(plan.capacity.begin(), plan.capacity.end());
    const std::size_t free = least > plan.context ? least - plan.context : 0;
    plan.memory = choose_plan(subject, free);
    plan.fits = every_rank_fits(plan);
    plan.time = step_time(subject, plan.memory, hardware);
    plan.tokens_per_step = static_cast<double>(config.training.global_batch_size * config.data.max_seq_length);
    plan.flops_per_token = useful_flops_per_token(config, plan.memory, load_model_config(config.model.path));
    plan.mfu = utilisation(plan, hardware);
    plan.assumptions = assumptions();
    if (plan.fits) return plan;
    for (auto& s : suggest_savings(subject, plan.memory, free)) {
        const double seconds = step_time(subject, s.plan, hardware).total();
        plan.suggestions.push_back({std::move(s), seconds});
    }
    return plan;
}

}  // namespace tandem
