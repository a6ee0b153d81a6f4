#include "parallel/partition.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>

#include "kernels/base/error.h"

namespace tandem {
namespace {

/// What is sought is sought first without the order of equals, which then needs to look only at parts that are no slower than that.
struct Rough {
    int over = std::numeric_limits<int>::max();  ///< parts over capacity
    double slowest = 0.0;
    friend auto operator<=>(const Rough&, const Rough&) = default;
};

struct Exact {
    int over = std::numeric_limits<int>::max();
    std::vector<double> slowest_first, times;
    std::vector<int> ends;
    [[nodiscard]] auto order() const { return std::tie(over, slowest_first, times); }
};

class Partitioner {
public:
    Partitioner(std::span<const double> seconds, std::span<const double> bytes, int parts, std::optional<double> capacity)
        : seconds_(seconds), bytes_(bytes), units_(static_cast<int>(seconds.size())), parts_(parts), capacity_(capacity) {}

    [[nodiscard]] std::vector<UnitRange> best() const {
        const auto rough = solve<Rough>([](const Rough& before, const Last& last) {
            return Rough{before.over + last.over, std::max(before.slowest, last.seconds)};
        });
        const auto exact = solve<Exact>(
            [&](const Exact& before, const Last& last) {
                Exact all = before;
                all.over += last.over;
                all.times.push_back(last.seconds);
                all.ends.push_back(last.end);
                const auto at = std::upper_bound(all.slowest_first.begin(), all.slowest_first.end(), last.seconds, std::greater<>());
                all.slowest_first.insert(at, last.seconds);
                return all;
            },
            rough.slowest);
        std::vector<UnitRange> ranges;
        for (const int end : exact.ends) ranges.push_back({ranges.empty() ? 0 : ranges.back().last, end});
        return ranges;
    }

private:
    struct Last {
        int end;
        double seconds;
        int over;
    };

    /// The best of all ways to cut the row, where the best way to cut units [0, end) into the parts up to `part` is a best way to
    /// cut what comes before its last part, and that part. No part takes longer than `slowest`.
    template <class Cut, class Append>
    [[nodiscard]] Cut solve(const Append& append, double slowest = std::numeric_limits<double>::infinity()) const {
        std::vector<Cut> before(static_cast<std::size_t>(units_) + 1);
        before[0] = start<Cut>();
        for (int part = 0; part < parts_; ++part) {
            std::vector<Cut> now(before.size());
            // Each part's end leaves a layer for each of the parts up to it, and for each of those after it.
            const bool last_part = part == parts_ - 1;
            const int first_end = last_part ? units_ : part + 2, last_end = last_part ? units_ : units_ - parts_ + part;
            for (int end = first_end; end <= last_end; ++end) {
                Cut& best = now[static_cast<std::size_t>(end)];
                double time = 0.0, size = 0.0;
                for (int begin = end - 1; begin >= 0; --begin) {
                    time += seconds_[static_cast<std::size_t>(begin)];
                    if (time > slowest) break;
                    size += bytes_[static_cast<std::size_t>(begin)];
                    const Cut& rest = before[static_cast<std::size_t>(begin)];
                    if (!reached(rest)) continue;
                    Cut cut = append(rest, {end, time, capacity_ && size > *capacity_ ? 1 : 0});
                    if (!reached(best) || less(cut, best)) best = std::move(cut);
                }
            }
            before = std::move(now);
        }
        return std::move(before.back());
    }

    template <class Cut>
    static Cut start() {
        Cut cut;
        cut.over = 0;
        return cut;
    }
    template <class Cut>
    static bool reached(const Cut& cut) {
        return cut.over < std::numeric_limits<int>::max();
    }
    static bool less(const Rough& a, const Rough& b) { return a < b; }
    static bool less(const Exact& a, const Exact& b) { return a.order() < b.order(); }

    std::span<const double> seconds_, bytes_;
    int units_, parts_;
    std::optional<double> capacity_;
};

}  // namespace

std::vector<UnitRange> parts_of_layers(std::span<const std::int64_t> layers) {
    std::vector<UnitRange> parts;
    int first = 0;
    for (std::size_t p = 0; p < layers.size(); ++p) {
        const int ends = (p == 0 ? 1 : 0) + (p + 1 == layers.size() ? 1 : 0);
        parts.push_back({first, first + static_cast<int>(layers[p]) + ends});
        first = parts.back().last;
    }
    return parts;
}

std::vector<UnitRange> balanced_parts(std::span<const double> seconds, std::span<const double> bytes, int parts,
                                      std::optional<double> capacity) {
    require(parts >= 1 && seconds.size() == bytes.size() && seconds.size() >= static_cast<std::size_t>(parts) + 2,
            "{} and {} units in {} parts", seconds.size(), bytes.size(), parts);
    return Partitioner(seconds, bytes, parts, capacity).best();
}

}  // namespace tandem
