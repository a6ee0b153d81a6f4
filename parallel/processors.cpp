#include "parallel/processors.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "kernels/base/error.h"

namespace tandem {

std::vector<int> affinity() {
    // The kernel refuses masks shorter than its own number of CPUs; which that is, only trying tells.
    for (int capacity = 1024; capacity <= (1 << 20); capacity *= 2) {
        cpu_set_t* set = CPU_ALLOC(capacity);
        if (!set) throw std::bad_alloc();
        const std::size_t bytes = CPU_ALLOC_SIZE(capacity);
        CPU_ZERO_S(bytes, set);
        std::vector<int> cpus;
        const int code = sched_getaffinity(0, bytes, set);
        const int error = errno;
        for (int c = 0; code == 0 && c < capacity; ++c) {
            if (CPU_ISSET_S(static_cast<std::size_t>(c), bytes, set)) cpus.push_back(c);
        }
        CPU_FREE(set);
        if (code == 0) return cpus;
        if (error != EINVAL) fail(Failure::Run, "sched_getaffinity failed: {}", std::strerror(error));
    }
    fail(Failure::Run, "sched_getaffinity accepts no mask of up to {} CPUs", 1 << 20);
}

namespace {

/// "max 100000" or "200000 100000" as in cpu.max of version 2 control groups.
std::optional<double> read_quota(const std::string& path) {
    std::ifstream file(path);
    std::string quota;
    double period = 0;
    if (!(file >> quota >> period) || quota == "max" || period <= 0) return std::nullopt;
    return std::atof(quota.c_str()) / period;
}

}  // namespace

std::optional<double> cpu_quota() {
    const std::string root = "/sys/fs/cgroup";
    std::ifstream membership("/proc/self/cgroup");
    std::optional<double> least;
    for (std::string line; std::getline(membership, line);) {
        if (line.rfind("0::", 0) != 0) continue;
        // Every group on the way up limits those below it.
        for (std::string path = line.substr(3);; path = path.substr(0, path.rfind('/'))) {
            const auto quota = read_quota(root + path + "/cpu.max");
            if (quota && (!least || *quota < *least)) least = quota;
            if (path.find('/') == std::string::npos) break;
        }
    }
    return least;
}

int share_of_cpus(std::span<const std::vector<int>> cpus, std::size_t me, std::optional<double> quota) {
    double share = 0;
    for (const int cpu : cpus[me]) {
        const auto users = std::count_if(cpus.begin(), cpus.end(), [&](const auto& mask) { return std::ranges::count(mask, cpu) > 0; });
        share += 1.0 / static_cast<double>(users);
    }
    if (quota) share = std::min(share, *quota / static_cast<double>(cpus.size()));
    // Thirds added up must not lose a CPU to rounding.
    return std::max(1, static_cast<int>(std::floor(share + 1e-6)));
}

std::string format_cpus(std::span<const int> cpus) {
    std::string text;
    for (std::size_t i = 0; i < cpus.size();) {
        std::size_t last = i;
        while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
        text += (text.empty() ? "" : ",") + std::to_string(cpus[i]);
        if (last > i) text += "-" + std::to_string(cpus[last]);
        i = last + 1;
    }
    return text;
}

std::vector<int> parse_cpus(const std::string& text) {
    std::vector<int> cpus;
    std::istringstream ranges(text);
    for (std::string range; std::getline(ranges, range, ',');) {
        const auto dash = range.find('-');
        const int first = std::stoi(range);
        const int last = dash == std::string::npos ? first : std::stoi(range.substr(dash + 1));
        for (int c = first; c <= last; ++c) cpus.push_back(c);
    }
    return cpus;
}

}  // namespace tandem
