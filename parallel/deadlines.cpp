#include "parallel/deadlines.h"

#include <algorithm>

namespace tandem {
/// Micro-batches, buckets and steps are alike; chunks hold different units.
std::int64_t Deadlines::kind(const Position& p) {
    const std::int64_t instruction = p.in_instruction ? 1 + static_cast<std::int64_t>(p.op) + std::int64_t{kOps} * p.chunk : 0;
    return instruction * kPhases + static_cast<std::int64_t>(p.phase);
}

void Deadlines::completed(const Position& position, double seconds) {
    if (!repeats(position.phase)) return;
    double& slowest = slowest_[kind(position)];
    slowest = std::max(slowest, seconds);
}

double Deadlines::of(const Position& position) const {
    if (given_ && (repeats(position.phase) || position.in_instruction)) return *given_;
    if (position.phase == Phase::Saving || position.phase == Phase::Exporting) return kSaving;
    if (!repeats(position.phase)) return kPatient;
    const auto found = slowest_.find(kind(position));
    return found == slowest_.end() ? kFirst : std::max(kLeast, kSlower * found->second);
}

}  // namespace tandem
