#include "src/plan/this_machine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <limits>
#include <thread>
#include <vector>

#include "kernels/base/philox.h"
#include "kernels/loader/cuda.h"
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

namespace {

/// Numbers in (-1, 1): GPUs clock higher on products of zeros than on those of a training.
void fill_with_noise(Backend& backend, Stream& stream, const Tensor& x) {
    constexpr std::int64_t kPiece = (1 << 20) - 3;
    dispatch_float(x.dtype(), [&](auto tag) {
        using T = typename decltype(tag)::type;
        std::vector<T> piece(static_cast<std::size_t>(std::min(kPiece, x.elements())));
        for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = T(2.0F * uniform01(philox(1, 0, i)[0]) - 1.0F);
        const Tensor flat = x.reshape({x.elements()});
        for (std::int64_t i = 0; i < x.elements(); i += kPiece)
            backend.copy_from_host(stream, piece.data(), flat.rows(i, std::min(i + kPiece, x.elements())));
    });
    stream.synchronize();
}

/// Matrices on a device, n x n, and the shortest time of `work` on them: of at least three runs, and for `budget` seconds.
template <class F>
double least_seconds(Backend& backend, DType type, std::int64_t n, double budget, F&& work) {
    constexpr int kRuns = 3;  // what a library prepares, it prepares in the first
    const auto stream = backend.make_stream();
    Arena arena(backend, MemoryKind::Activations, 3 * (static_cast<std::size_t>(n * n) * size_of(type) + Arena::kAlignment));
    Arena workspace(backend, MemoryKind::Workspace, std::size_t{256} << 20U);
    Context ctx{backend, *stream, workspace};
    const Tensor a = arena.allocate("a", type, {n, n}), b = arena.allocate("b", type, {n, n}), c = arena.allocate("c", type, {n, n});
    fill_with_noise(backend, *stream, a);
    fill_with_noise(backend, *stream, b);
    double least = std::numeric_limits<double>::infinity();
    const auto start = Clock::now();
    for (int run = 0; run < kRuns || seconds_since(start) < budget; ++run) {
        const auto one = Clock::now();
        work(ctx, a, b, c);
        stream->synchronize();
        least = std::min(least, seconds_since(one));
    }
    return least;
}

struct Timing {
    double side, seconds;
};

/// least_seconds() of matrices large enough that the device, not the start of its work, is measured: for most devices the largest.
template <class F>
Timing time_of_squares(Backend& backend, DType type, F&& work) {
    constexpr std::int64_t kSmallest = 512, kLargest = 8192;
    constexpr double kLongEnough = 10e-3;
    std::int64_t n = kSmallest;
    while (n < kLargest && least_seconds(backend, type, n, 0, work) < kLongEnough) n *= 2;
    return {static_cast<double>(n), least_seconds(backend, type, n, kSeconds, work)};
}

}  // namespace

double copy_bandwidth(Backend& backend) {
    const auto copy = [](Context& ctx, const Tensor& a, const Tensor&, const Tensor& c) { ops::cast(ctx, a, c); };
    const Timing t = time_of_squares(backend, DType::F32, copy);
    return t.side * t.side * size_of(DType::F32) / t.seconds / 1e9;
}

double matmul_tflops(Backend& backend, DType type) {
    const auto multiply = [](Context& ctx, const Tensor& a, const Tensor& b, const Tensor& c) { ops::matmul(ctx, a, b, c); };
    const Timing t = time_of_squares(backend, type, multiply);
    return 2 * t.side * t.side * t.side / t.seconds / 1e12;
}

namespace {

/// 10^9 B/s from pinned host memory to the device.
double host_copy_bandwidth(Backend& backend) {
    constexpr std::size_t bytes = std::size_t{64} << 20U;
    const auto stream = backend.make_stream();
    Arena arena(backend, MemoryKind::Communication, bytes);
    const Tensor x = arena.allocate("copy", DType::U8, {static_cast<std::int64_t>(bytes)});
    const std::unique_ptr<void, std::function<void(void*)>> pinned(backend.reserve_host(bytes),
                                                                   [&](void* base) { backend.unreserve_host(base, bytes); });
    double least = std::numeric_limits<double>::infinity();
    for (const auto start = Clock::now(); seconds_since(start) < kSeconds;) {
        const auto one = Clock::now();
        backend.copy_from_host(*stream, pinned.get(), x);
        stream->synchronize();
        least = std::min(least, seconds_since(one));
    }
    return static_cast<double>(bytes) / least / 1e9;
}

}  // namespace

Hardware measure_gpus(int ranks, const DevicePlace& place) {
    const auto backend = make_cuda_backend(place.gpu.device);
    const int sharing = (ranks + place.gpu.cards - 1) / place.gpu.cards;
    Hardware h;
    h.name = "this machine";
    h.link = Link::Pcie;
    h.p2p = false;
    Gpu gpu;
    gpu.name = sharing == 1 ? place.gpu.name : fmt::format("1/{} of {}", sharing, place.gpu.name);
    gpu.library_attention = place.gpu.library_attention;
    gpu.memory = place.gpu.memory / static_cast<std::size_t>(sharing);
    gpu.bf16_tflops = matmul_tflops(*backend, DType::BF16) / sharing;
    gpu.fp32_tflops = matmul_tflops(*backend, DType::F32) / sharing;
    gpu.sustained_tflops = gpu.bf16_tflops;
    gpu.memory_bandwidth = 2 * copy_bandwidth(*backend) / sharing;
    h.gpus.assign(static_cast<std::size_t>(ranks), gpu);
    h.link_bandwidth = host_copy_bandwidth(*backend) / sharing;
    h.host_memory = machine_memory();
    return h;
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
    const auto backend = make_cpu_backend(threads);
    gpu.bf16_tflops = turns * matmul_tflops(*backend, DType::BF16);
    gpu.fp32_tflops = turns * matmul_tflops(*backend, DType::F32);
    gpu.sustained_tflops = gpu.bf16_tflops;
    gpu.memory_bandwidth = turns * 2 * copy_bandwidth(threads);
    h.gpus.assign(static_cast<std::size_t>(ranks), gpu);
    h.link_bandwidth = gpu.memory_bandwidth / 4;
    h.host_memory = machine_memory();
    return h;
}

}  // namespace tandem
