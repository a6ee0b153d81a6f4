// Which CPUs this process may use, and how the ranks of a host divide them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tandem {

/// Numbers of the CPUs in this process's affinity mask, ascending.
[[nodiscard]] std::vector<int> affinity();

/// CPU time that the control group grants, in CPUs (2.5), or nothing where it is unlimited or there is no control group.
[[nodiscard]] std::optional<double> cpu_quota();

/// Threads for rank `me` of a host whose ranks may use `cpus[rank]`: a CPU that k ranks may use counts 1/k for each of them.
/// `quota` is shared by all ranks of the host. At least 1.
[[nodiscard]] int share_of_cpus(std::span<const std::vector<int>> cpus, std::size_t me, std::optional<double> quota);

/// "0-3,8" for 0 1 2 3 8, and back.
[[nodiscard]] std::string format_cpus(std::span<const int> cpus);
[[nodiscard]] std::vector<int> parse_cpus(const std::string& text);

}  // namespace tandem
