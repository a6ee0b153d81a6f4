#include "src/plan/this_machine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "parallel/processors.h"
#include "src/plan/capacity.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kSeconds = 0.3;  ///< of each measurement

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

double copy_bandwidth(int threads) {
    constexpr std::size_t bytes = std::size_t{32} << 20U;  // beyond the caches
    std::vector<double> rates(static_cast<std::size_t>(threads));
    const auto work = [&](double& rate) {
        std::vector<std::byte> from(bytes, std::byte{1}), to(bytes, std::byte{2});
        const auto start = Clock::now();
        int rounds = 0;
        for (; seconds_since(start) < kSeconds; ++rounds) {
            std::memcpy(to.data(), from.data(), bytes);
            from[static_cast<std::size_t>(rounds)] = to[bytes / 2];  // a copy that nobody reads may be left out
        }
        rate = static_cast<double>(bytes) * rounds / seconds_since(start) / 1e9;
    };
    std::vector<std::thread> others;
    for (std::size_t t = 1; t < rates.size(); ++t) others.emplace_back(work, std::ref(rates[t]));
    work(rates[0]);
    for (auto& thread : others) thread.join();
    double sum = 0;
    for (const double rate : rates) sum += rate;
    return sum;
}

double matmul_tflops(int threads, DType type) {
    constexpr std::int64_t n = 1024;
    const auto backend = make_cpu_backend(threads);
    const auto stream = backend->make_stream();
    DeviceMemory memory(*backend, std::size_t{1} << 30U);
    Context ctx{*backend, *stream, memory[MemoryKind::Workspace]};
    Arena& arena = memory[MemoryKind::Activations];
    const Tensor a = arena.allocate("a", type, {n, n}), b = arena.allocate("b", type, {n, n}), c = arena.allocate("c", type, {n, n});
    ops::zero(ctx, a);
    ops::zero(ctx, b);
    double best = 0;
    for (const auto start = Clock::now(); seconds_since(start) < kSeconds;) {
        const auto one = Clock::now();
        ops::matmul(ctx, a, b, c);
        stream->synchronize();
        best = std::max(best, 2.0 * n * n * n / seconds_since(one) / 1e12);
    }
    return best;
}

Hardware measure_this_machine(int ranks, int threads) {
    Hardware h;
    h.name = "this machine";
    h.link = Link::Memory;
    Gpu gpu;
    gpu.name = fmt::format("{} CPU threads", threads);
    gpu.backend = "cpu";
    gpu.memory = machine_memory() / static_cast<std::size_t>(ranks);
    // Ranks with more threads than there are processors take turns.
    const double turns = std::min(1.0, static_cast<double>(affinity().size()) / (static_cast<double>(ranks) * threads));
    gpu.bf16_tflops = turns * matmul_tflops(threads, DType::BF16);
    gpu.fp32_tflops = turns * matmul_tflops(threads, DType::F32);
    gpu.sustained_tflops = gpu.bf16_tflops;
    gpu.memory_bandwidth = turns * 2 * copy_bandwidth(threads);
    h.gpus.assign(static_cast<std::size_t>(ranks), gpu);
    h.link_bandwidth = gpu.memory_bandwidth / 4;
    h.host_memory = machine_memory();
    return h;
}

}  // namespace tandem
