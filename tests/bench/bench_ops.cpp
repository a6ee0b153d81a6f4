// bench_ops [TOKENS [FILTER [THREADS]]]: milliseconds, rate and share of the machine's limit for every op of the cpu backend,
// with one thread and with all (or only with THREADS). Limits are measured in the same run: a large product, and a copy of
// memory. A share above 1 means that operands stayed in a cache.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <vector>

#include "kernels/base/backend.h"
#include "tests/bench/cases.h"

namespace tandem::bench {

namespace {

/// What passed for one thread: its processor time, which neighbours on a shared machine do not lengthen.
double processor_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Best of some runs: by processor time with one thread, by the wall clock (on a quiet machine, please) with several.
double seconds(int threads, const std::function<void()>& run) {
    const auto now = threads == 1 ? processor_seconds : wall_seconds;
    run();
    double best = 1e30;
    double total = 0.0;
    for (int i = 0; i < 200 && (total < 0.3 || i < 3); ++i) {
        const double start = now();
        run();
        const double elapsed = now() - start;
        best = std::min(best, elapsed);
        total += elapsed;
    }
    return best;
}

/// Bytes read and written a second by `threads` copies of memory that no cache holds.
double copy_rate(int threads) {
    constexpr std::size_t kBytes = std::size_t{192} << 20U;
    std::vector<char> from(kBytes, 1), to(kBytes, 2);
    const auto share = kBytes / static_cast<std::size_t>(threads);
    const double time = seconds(threads, [&] {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int t = 0; t < threads; ++t)
            std::memcpy(to.data() + static_cast<std::size_t>(t) * share, from.data() + static_cast<std::size_t>(t) * share, share);
    });
    return 2.0 * static_cast<double>(kBytes) / time;
}

void run_all(int threads, std::int64_t tokens, const std::string& filter) {
    const auto backend = make_cpu_backend(threads);
    const auto stream = backend->make_stream();
    Arena operands(*backend, MemoryKind::Activations, std::size_t{16} << 30U);
    Arena workspace(*backend, MemoryKind::Workspace, std::size_t{1} << 30U);
    Context ctx{*backend, *stream, workspace};
    const auto references = limits(ctx, operands);
    double limit[3];
    for (const auto& reference : references) limit[static_cast<int>(reference.bound)] = reference.cost / seconds(threads, reference.run);
    limit[static_cast<int>(Bound::Memory)] = copy_rate(threads);
    fmt::print("\n{}\nlimits: bf16 matmul {:.0f} GFLOP/s, fp32 matmul {:.0f} GFLOP/s, copy {:.1f} GB/s; {} tokens\n",
               backend->description(), limit[0] / 1e9, limit[1] / 1e9, limit[2] / 1e9, tokens);
    fmt::print("{:<44} {:>10} {:>9} {:<8} {:>6}\n", "op", "ms", "rate", "", "share");
    for (const auto& item : cases(ctx, operands, tokens)) {
        if (item.name.find(filter) == std::string::npos) continue;
        const double time = seconds(threads, item.run);
        const double rate = item.cost / time;
        fmt::print("{:<44} {:>10.3f} {:>9.1f} {:<8} {:>6.2f}\n", item.name, time * 1e3, rate / 1e9,
                   item.bound == Bound::Memory ? "GB/s" : "GFLOP/s", rate / limit[static_cast<int>(item.bound)]);
    }
    fmt::print("largest workspace: {:.1f} MiB\n", static_cast<double>(workspace.peak()) / 0x1p20);
}

}  // namespace

}  // namespace tandem::bench

int main(int argc, char** argv) {
    try {
        const std::int64_t tokens = argc > 1 ? std::atol(argv[1]) : 1024;
        const std::string filter = argc > 2 ? argv[2] : "";
        tandem::require(tokens >= 128, "TOKENS is {}, but at least 128 are needed", tokens);
        const std::vector<int> teams = argc > 3 ? std::vector{std::atoi(argv[3])} : std::vector{1, omp_get_num_procs()};
        for (const int threads : teams) tandem::bench::run_all(threads, tokens, filter);
    } catch (const std::exception& e) {
        fmt::print(stderr, "bench_ops: {}\n", e.what());
        return 1;
    }
    return 0;
}
