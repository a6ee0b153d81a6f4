// How long a rank may stay where it is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "parallel/position.h"

namespace tandem {

/// Seconds. An instruction may take kSlower times its slowest completed run, but is given kLeast at least, and kFirst before it has
/// completed once. Phases without instructions may be without progress for kPatient; saving and exporting for kSaving, because one fsync of
/// what the system has buffered shows no progress at all.
inline constexpr double kSlower = 10, kLeast = 20, kFirst = 600, kPatient = 600, kSaving = 1800;

class Deadlines {
public:
    /// `given` (watchdog.deadline): of every instruction, from the start, of every token that is generated, and of what is measured.
    explicit Deadlines(std::optional<double> given = std::nullopt) : given_(given) {}

    /// Such a position came to its end after so long.
    void completed(const Position& position, double seconds);
    [[nodiscard]] double of(const Position& position) const;

private:
    static std::int64_t kind(const Position& position);
    std::optional<double> given_;
    std::map<std::int64_t, double> slowest_;
};

}  // namespace tandem
