// tandem doctor: what this machine or allocation is and can do.
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "kernels/base/backend.h"
#include "kernels/base/host_stream.h"
#include "launch/command.h"
#include "launch/doctor_cuda.h"
#include "launch/options.h"
#include "parallel/processors.h"
#include "parallel/runtime.h"
#include "src/io/files.h"
#include "src/io/hdf5_file.h"
#include "src/plan/this_machine.h"

namespace tandem {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
constexpr std::size_t kMiB = std::size_t{1} << 20U;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A line of /proc/meminfo in bytes; nothing where the kernel does not give it.
Json meminfo(const std::string& key) {
    std::ifstream file("/proc/meminfo");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1)) * 1024;
    }
    return nullptr;
}

Json free_bytes(const std::filesystem::path& path) {
    struct statvfs s = {};
    if (statvfs(path.c_str(), &s) != 0) return nullptr;
    return static_cast<std::uint64_t>(s.f_bavail) * s.f_frsize;
}

/// Seconds of the fastest of several all-reduces of `bytes` bytes of fp32.
double all_reduce_seconds(Communicator& world, std::size_t bytes, int repeats) {
    HostStream stream;
    std::vector<float> values(bytes / sizeof(float), 1.0F);
    const Tensor x(values.data(), DType::F32, Shape{static_cast<std::int64_t>(values.size())});
    double best = std::numeric_limits<double>::max();
    for (int i = 0; i < repeats; ++i) {
        world.barrier();
        const auto start = Clock::now();
        world.all_reduce(stream, x);
        best = std::min(best, seconds_since(start));
    }
    std::vector<double> slowest = {best};
    world.max(std::span(slowest));
    return slowest[0];
}

Json measure_all_reduce(Communicator& world) {
    if (world.size() == 1) return nullptr;
    constexpr std::size_t small = 4096, large = 16 * kMiB;
    const double n = world.size();
    const double seconds = all_reduce_seconds(world, large, 5);
    return {{"latency_us", all_reduce_seconds(world, small, 50) * 1e6},
            {"latency_bytes", small},
            {"bandwidth_bytes", large},
            // busbw of nccl-tests: comparable between numbers of ranks
            {"bus_bandwidth_gb_s", static_cast<double>(large) * 2 * (n - 1) / n / seconds / 1e9}};
}

Json describe_rank(Runtime& runtime) {
    runtime.world().barrier();
    return {{"rank", runtime.rank()},
            {"host", runtime.hostname()},
            {"local_rank", runtime.local_rank()},
            {"cpus", format_cpus(affinity())},
            {"threads", runtime.threads_per_rank()},
            {"memory_copy_gb_s", copy_bandwidth(runtime.threads_per_rank())}};
}

/// What a user would want to change before training here.
Json advice(const Json& ranks, const Json& memory) {
    Json lines = Json::array();
    std::map<std::string, std::pair<int, std::vector<int>>> hosts;
    for (const auto& rank : ranks) {
        auto& [threads, cpus] = hosts[rank["host"].get<std::string>()];
        threads += rank["threads"].get<int>();
        for (const int cpu : parse_cpus(rank["cpus"].get<std::string>())) cpus.push_back(cpu);
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    for (auto& [host, use] : hosts) {
        auto& [threads, cpus] = use;
        std::ranges::sort(cpus);
        const auto distinct = std::unique(cpus.begin(), cpus.end()) - cpus.begin();
        if (threads > distinct)
            lines.push_back(fmt::format("{}: {} threads share {} CPUs; fewer ranks would be faster", host, threads, distinct));
        if (host == ranks[0]["host"] && distinct < online) {
            lines.push_back(
                fmt::format("{}: the ranks may use {} of {} CPUs; with mpirun, --bind-to none lets them use all", host, distinct, online));
        }
    }
    if (memory["available_bytes"].is_number() && memory["available_bytes"] < 2 * kGiB)
        lines.push_back("less than 2 GiB of memory is available");
    return lines;
}

Json examine(Runtime& runtime) {
    std::unique_ptr<Backend> cpu = make_cpu_backend(runtime.threads_per_rank());
    Json ranks = Json::array();
    for (const auto& text : runtime.world().gather(describe_rank(runtime).dump())) ranks.push_back(Json::parse(text));
    const Json all_reduce = measure_all_reduce(runtime.world());
    const auto quota = cpu_quota();
    const bool speaks = runtime.rank() == 0;  // looking at a GPU takes memory of it
    const Json memory = {{"total_bytes", meminfo("MemTotal")}, {"available_bytes", meminfo("MemAvailable")}};
    std::error_code error;
    const auto folder = std::filesystem::current_path(error);
    return {{"schema", 1},
            {"version", TANDEM_VERSION},
            {"host", runtime.hostname()},
            {"processor",
             {{"description", cpu->description()},
              {"cpus_online", sysconf(_SC_NPROCESSORS_ONLN)},
              {"cpus_allowed", format_cpus(affinity())},
              {"cpu_quota", quota ? Json(*quota) : Json(nullptr)}}},
            {"memory", memory},
            {"disk", {{"path", folder.string()}, {"free_bytes", free_bytes(folder)}, {"shared_memory_free_bytes", free_bytes("/dev/shm")}}},
            {"mpi", runtime.mpi_description()},
            {"hdf5", hdf5_version()},
            {"cuda", speaks ? examine_cuda() : Json()},
            {"nccl", speaks ? examine_nccl() : ""},
            {"ranks", ranks},
            {"all_reduce", all_reduce},
            {"advice", advice(ranks, memory)}};
}

std::string gib(const Json& bytes) { return bytes.is_number() ? fmt::format("{:.1f} GiB", bytes.get<double>() / kGiB) : "unknown"; }

std::string text_of(const Json& facts) {
    const auto word = [](const Json& value) { return value.get<std::string>(); };
    const Json &processor = facts["processor"], &memory = facts["memory"], &disk = facts["disk"], &sum = facts["all_reduce"];
    std::string out = fmt::format("tandem {} on {}\n\n", word(facts["version"]), word(facts["host"]));
    const auto line = [&](const char* what, const std::string& value) { out += fmt::format("{:<14}{}\n", what, value); };
    line("processor", word(processor["description"]));
    line("CPUs",
         fmt::format(
             "{} online, this rank may use {}{}", processor["cpus_online"].get<int>(), word(processor["cpus_allowed"]),
             processor["cpu_quota"].is_null() ? "" : fmt::format(", control group grants {:.1f}", processor["cpu_quota"].get<double>())));
    line("memory", fmt::format("{}, {} available", gib(memory["total_bytes"]), gib(memory["available_bytes"])));
    line("disk", fmt::format("{} free at {}; {} of shared memory", gib(disk["free_bytes"]), word(disk["path"]),
                             gib(disk["shared_memory_free_bytes"])));
    for (const char* library : {"mpi", "hdf5"}) line(library, word(facts[library]));
    line("cuda", cuda_text(facts["cuda"], std::string(14, ' ')));
    line("nccl", word(facts["nccl"]));
    out += fmt::format("\n{:>6}  {:<24} {:>10} {:>8}  {:>18}  CPUs\n", "rank", "host", "local rank", "threads", "memory copy GB/s");
    for (const auto& rank : facts["ranks"]) {
        out += fmt::format("{:>6}  {:<24} {:>10} {:>8}  {:>18.1f}  {}\n", rank["rank"].get<int>(), word(rank["host"]),
                           rank["local_rank"].get<int>(), rank["threads"].get<int>(), rank["memory_copy_gb_s"].get<double>(),
                           word(rank["cpus"]));
    }
    if (!sum.is_null()) {
        out += fmt::format("\nall-reduce    {:.0f} us for {} bytes, {:.2f} GB/s (bus bandwidth) for {} MiB\n",
                           sum["latency_us"].get<double>(), sum["latency_bytes"].get<std::size_t>(),
                           sum["bus_bandwidth_gb_s"].get<double>(), sum["bandwidth_bytes"].get<std::size_t>() / kMiB);
    }
    for (const auto& hint : facts["advice"]) out += "\nadvice        " + word(hint) + "\n";
    return out;
}

/// What `plan` reads: rank 0's processor, as many of them on a node as this host has ranks, and the reductions measured above.
void write_hardware_file(const std::string& file, const Runtime& runtime, const Json& facts) {
    if (runtime.rank() != 0) return;
    const int local = runtime.local_size();
    const DevicePlace place = place_on_device(RunConfig{}, 0);
    Hardware hardware =
        place.backend == DeviceBackend::Cuda ? measure_gpus(local, place) : measure_this_machine(local, runtime.threads_per_rank());
    hardware.name = runtime.hostname();
    hardware.nodes = runtime.size() / local;
    if (const Json& sum = facts["all_reduce"]; !sum.is_null()) {
        const double rate = sum["bus_bandwidth_gb_s"].get<double>(), latency = sum["latency_us"].get<double>();
        auto& curve = hardware.nodes > 1 ? hardware.network_rates["all_reduce"] : hardware.node_rates["all_reduce"];
        curve[sum["bandwidth_bytes"].get<std::uint64_t>()] = rate;
        (hardware.nodes > 1 ? hardware.network_latency : hardware.link_latency) = latency;
        if (hardware.nodes > 1) hardware.network_bandwidth = rate;
    }
    write_file_atomically(file, "# Measured by `tandem doctor`.\n" + to_ini(hardware));
}

int doctor(Runtime& runtime, const std::vector<std::string>& arguments) {
    bool json = false;
    std::optional<std::string> hardware_file;
    CommandLine line(doctor_command, runtime);
    line.flag("json", json, "one JSON object on stdout");
    line.option("hardware", hardware_file, "also write this hardware file, which `tandem plan --hardware` reads");
    if (!line.parse(arguments)) return 0;
    const Json facts = examine(runtime);
    if (hardware_file) write_hardware_file(*hardware_file, runtime, facts);
    if (runtime.rank() != 0) return 0;
    print_once(runtime, json ? facts.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n" : text_of(facts));
    return 0;
}

}  // namespace

const Command doctor_command = {"doctor", "[--json] [--hardware FILE]", "what this machine or allocation is and can do", doctor};

}  // namespace tandem
