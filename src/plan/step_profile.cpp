#include "src/plan/step_profile.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "kernels/base/backend.h"
#include "kernels/base/philox.h"
#include "kernels/timed/backend_timed.h"
#include "src/engine/engine.h"
#include "src/plan/capacity.h"
#include "src/plan/this_machine.h"
#include "src/plan/time_model.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Full rows of random tokens, every position but the last of a row trained.
struct RandomRows {
    RandomRows(std::int64_t rows, std::int64_t length, std::int64_t vocabulary) : max_length(length) {
        for (std::int64_t i = 0; i < rows * length; ++i) {
            const auto word = philox(hash_name(std::string_view("bench")), 0, static_cast<std::uint64_t>(i))[0];
            ids.push_back(static_cast<std::int32_t>(word % static_cast<std::uint32_t>(vocabulary)));
            positions.push_back(static_cast<std::int32_t>(i % length));
            row_ids.push_back(i);
            if (i % length == 0) cu_seqlens.push_back(static_cast<std::int32_t>(i));
        }
        cu_seqlens.push_back(static_cast<std::int32_t>(ids.size()));
        targets = ids;
        std::rotate(targets.begin(), targets.begin() + 1, targets.end());
        for (std::int64_t i = length - 1; i < rows * length; i += length) targets[static_cast<std::size_t>(i)] = -100;
    }
    [[nodiscard]] HostBatch view() const { return {ids, targets, positions, cu_seqlens, row_ids, max_length}; }

    std::vector<std::int32_t> ids, targets, positions, cu_seqlens;
    std::vector<std::int64_t> row_ids;
    std::int64_t max_length;
};

RankLayout one_rank(const RunConfig& config) {
    return {.accumulation = config.training.global_batch_size / config.training.micro_batch_size};
}

/// One rank's engine with random weights.
struct Bench {
    Bench(const RunConfig& config_, int threads, const DevicePlace& place, const MemoryPlan& plan, std::unique_ptr<Backend> backend)
        : config(config_) {
        device = make_device(config, threads, place);
        if (backend) {
            device.stream = backend->make_stream();  // a stream does not outlive its backend
            device.backend = std::move(backend);
        }
        reserve(device, plan.bytes());
        const Trained trained = config.method.type == Method::Full ? Trained::Everything : Trained::Adapter;
        model = load_model(config, open_model(config, trained), device,
                           {plan.split.placement({}), *group, config.data.max_seq_length, largest_micro_batch(config)});
        const RankGroups groups{*group, *group, *group, *group, *group};
        const EngineSettings settings{config.optimizer, plan.split, plan.policy, plan.stages.front().slots, {}};
        engine = std::make_unique<Engine>(settings, MeshIndex{}, *model.transformer, *device.memory, groups);
        fill_masters(model, engine->state());
    }
    void step(std::int64_t number, const RandomRows& rows) {
        const auto micro_batches = static_cast<std::size_t>(config.training.global_batch_size / config.training.micro_batch_size);
        (void)engine->accumulate(std::vector<HostBatch>(micro_batches, rows.view()));
        const double norm = engine->clip(config.training.global_batch_size * config.data.max_seq_length);
        require(std::isfinite(norm), "bench: step {} has a gradient that is not finite", number);
        engine->update(config.optimizer.learning_rate, number);
    }

    const RunConfig& config;
    Device device;
    std::unique_ptr<Communicator> group = make_self_communicator();
    LoadedModel model;
    std::unique_ptr<Engine> engine;
};

double matmul_flops(const OpCounts& ops) {
    double flops = 0;
    for (const auto& [call, record] : ops.calls()) {
        if (call.op == "matmul") flops += static_cast<double>(call.flops * record.calls);
    }
    return flops;
}

}  // namespace

double StepProfile::median_seconds() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    return sorted.empty() ? 0 : sorted[sorted.size() / 2];
}

double StepProfile::mfu() const { return static_cast<double>(tokens) / median_seconds() * flops_per_token / (matmul_tflops * 1e12); }

StepProfile profile_step(const RunConfig& given, int threads, std::int64_t steps) {
    const DevicePlace place = place_on_device(given, 0);
    RunConfig config = on_device(given, place);
    config.model.init = ModelInit::Random;
    StepProfile profile;
    const auto start = Clock::now();
    const PlanSubject subject{config, one_rank(config), Purpose::Train, threads};
    const MemoryPlan plan = plan_that_fits(subject, capacity_here(subject, 1, place));
    const ModelConfig model = load_model_config(config.model.path);
    profile.flops_per_token = useful_flops_per_token(config, plan, model);
    const RandomRows rows(config.training.micro_batch_size, config.data.max_seq_length, model.vocabulary);
    {
        Bench bench(config, threads, place, plan, nullptr);
        bench.step(1, rows);
        profile.start_seconds = seconds_since(start);
        for (std::int64_t s = 2; s <= steps + 1; ++s) {
            const auto one = Clock::now();
            bench.step(s, rows);
            profile.seconds.push_back(seconds_since(one));
        }
        profile.device = bench.device.backend->description();
        profile.work = bench.device.backend->work_summary();
        profile.memory_peak_bytes = bench.device.memory->peak();
    }
    profile.rss_peak_bytes = peak_resident_memory();
    {
        auto timed = std::make_unique<TimedBackend>(make_device(config, threads, place).backend);
        TimedBackend& counter = *timed;
        Bench bench(config, threads, place, plan, std::move(timed));
        bench.step(1, rows);
        counter.counts().clear();
        bench.step(2, rows);
        profile.ops = counter.counts();
    }
    // The device's limits are measured when its memory is free again: a run that fills it leaves no room for their matrices.
    for (const auto& [call, record] : profile.ops.calls()) profile.op_seconds += record.seconds;
    profile.tokens = config.training.global_batch_size * config.data.max_seq_length;
    const auto plain = make_device(config, threads, place).backend;
    profile.matmul_tflops = matmul_tflops(*plain, config.model.dtype == DType::F32 ? DType::F32 : DType::BF16);
    profile.memory_gb_s = 2 * (place.backend == DeviceBackend::Cuda ? copy_bandwidth(*plain) : copy_bandwidth(threads_of(config, threads)));
    profile.matmul_bound_seconds = matmul_flops(profile.ops) / (profile.matmul_tflops * 1e12);
    return profile;
}

}  // namespace tandem
