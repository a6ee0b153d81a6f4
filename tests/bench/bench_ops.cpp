// bench_ops [--backend cpu|cuda] [--shape smollm2|llama3-8b] [--limits N] [TOKENS [FILTER [THREADS]]]: milliseconds, rate and share of the
// machine's limit for every op, at the sizes of one layer of a model; on the cpu with one thread and with all (or only with THREADS).
// Limits are measured in the same run: a product of N x N matrices (2048, on GPUs 8192), and a copy of memory. A share above 1 means that
// operands stayed in a cache.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "kernels/base/backend.h"
#include "kernels/loader/cuda.h"
#include "kernels/ops/elementwise.h"
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

struct Options {
    bool cuda = false;
    Dimensions dimensions;
    std::int64_t tokens = 1024;
    std::int64_t limits = 0;  ///< 0: the backend's
    std::string filter;
    std::vector<int> teams = {1, omp_get_num_procs()};
};

Options parse(int argc, char** argv) {
    Options o;
    std::vector<std::string> words;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
        if (word.rfind("--", 0) != 0) {
            words.push_back(word);
            continue;
        }
        const bool backend = word == "--backend" && (value == "cpu" || value == "cuda");
        const bool shape = word == "--shape" && (value == "smollm2" || value == "llama3-8b");
        const bool limits = word == "--limits" && std::atol(value.c_str()) > 0;
        if (!backend && !shape && !limits) fail(Failure::Configuration, "{} {} is not known", word, value);
        if (limits) o.limits = std::atol(value.c_str());
        if (backend) o.cuda = value == "cuda";
        if (shape) o.dimensions = value == "llama3-8b" ? kLlama3_8b : Dimensions{};
        ++i;
    }
    if (o.limits == 0) o.limits = o.cuda ? 8192 : 2048;
    if (!words.empty()) o.tokens = std::atol(words[0].c_str());
    if (words.size() > 1) o.filter = words[1];
    if (words.size() > 2) o.teams = {std::atoi(words[2].c_str())};
    if (o.tokens < 128) fail(Failure::Configuration, "TOKENS is {}, but at least 128 are needed", o.tokens);
    return o;
}

/// Seconds of `run` on a device that works by itself: the best of five batches of some 30 ms.
double device_seconds(Stream& stream, const std::function<void()>& run) {
    const auto batch = [&](int repeats) {
        stream.synchronize();
        const double start = wall_seconds();
        for (int i = 0; i < repeats; ++i) run();
        stream.synchronize();
        return (wall_seconds() - start) / repeats;
    };
    batch(1);
    const int repeats = std::clamp(static_cast<int>(0.03 / std::max(batch(2), 1e-7)), 1, 3000);
    double best = batch(repeats);
    for (int i = 1; i < 5; ++i) best = std::min(best, batch(repeats));
    return best;
}

using Clock = std::function<double(const std::function<void()>&)>;

/// Bytes read and written a second by a copy of one large tensor to another on the device.
double device_copy_rate(Context& ctx, Arena& memory, std::int64_t elements, const Clock& clock) {
    const ArenaScope scope(memory);
    const Tensor x = memory.allocate("bench copy", DType::F32, {elements}), y = memory.allocate("bench copy", DType::F32, x.shape());
    ops::zero(ctx, x);
    return 2.0 * static_cast<double>(x.bytes()) / clock([&] { ops::cast(ctx, x, y); });
}

void run_ops(Backend& backend, const Options& options, int threads) {
    const auto stream = backend.make_stream();
    Arena operands(backend, MemoryKind::Activations, std::size_t{options.cuda ? 6U : 16U} << 30U);
    Arena workspace(backend, MemoryKind::Workspace, std::size_t{1} << 30U);
    Context ctx{backend, *stream, workspace};
    const Clock clock = [&](const std::function<void()>& run) {
        return options.cuda ? device_seconds(*stream, run) : seconds(threads, run);
    };
    double limit[3];
    limits(ctx, operands, options.limits, [&](const Case& c) { limit[static_cast<int>(c.bound)] = c.cost / clock(c.run); });
    limit[static_cast<int>(Bound::Memory)] =
        options.cuda ? device_copy_rate(ctx, operands, 4 * options.limits * options.limits, clock) : copy_rate(threads);
    fmt::print("\n{}\nlimits: bf16 matmul {:.0f} GFLOP/s, fp32 matmul {:.0f} GFLOP/s, copy {:.1f} GB/s; {} tokens\n", backend.description(),
               limit[0] / 1e9, limit[1] / 1e9, limit[2] / 1e9, options.tokens);
    fmt::print("{:<44} {:>10} {:>9} {:<8} {:>6}\n", "op", "ms", "rate", "", "share");
    cases(ctx, operands, options.dimensions, options.tokens, [&](const Case& item) {
        if (item.name.find(options.filter) == std::string::npos) return;
        const double time = clock(item.run);
        const double rate = item.cost / time;
        fmt::print("{:<44} {:>10.3f} {:>9.1f} {:<8} {:>6.2f}\n", item.name, time * 1e3, rate / 1e9,
                   item.bound == Bound::Memory ? "GB/s" : "GFLOP/s", rate / limit[static_cast<int>(item.bound)]);
    });
    fmt::print("largest workspace: {:.1f} MiB\n", static_cast<double>(workspace.peak()) / 0x1p20);
}

}  // namespace

}  // namespace tandem::bench

int main(int argc, char** argv) {
    try {
        const auto options = tandem::bench::parse(argc, argv);
        if (options.cuda) {
            const auto backend = tandem::make_cuda_backend(0);
            tandem::bench::run_ops(*backend, options, 1);
            return 0;
        }
        for (const int threads : options.teams) {
            const auto backend = tandem::make_cpu_backend(threads);
            tandem::bench::run_ops(*backend, options, threads);
        }
    } catch (const std::exception& e) {
        fmt::print(stderr, "bench_ops: {}\n", e.what());
        return 1;
    }
    return 0;
}
