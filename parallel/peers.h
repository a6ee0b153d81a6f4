// What a rank has heard of all ranks, itself included. Ranks hand on what they heard, so that no rank has to hear from every other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "parallel/whereabouts.h"

namespace tandem {

/// A sign of life, as it travels: no clocks, because ranks' clocks differ.
struct Sign {
    std::uint32_t number = 0;  ///< of this rank's signs; 0: none
    Activity activity = Activity::Working;
    Position position;
    float in_it = 0;  ///< seconds since the rank came there or made progress, when it gave the sign
    float deadline = static_cast<float>(kPatient);
};

class Peers {
public:
    Peers(int rank, int ranks, double now);

    [[nodiscard]] int rank() const { return rank_; }
    [[nodiscard]] int size() const { return static_cast<int>(signs_.size()); }

    /// This rank's own next sign.
    void give(const Whereabout& whereabout, double now);
    /// What another rank has heard of the ranks [first, first + signs.size()).
    void hear(std::size_t first, std::span<const Sign> signs, double now);
    /// This process did not run for a while: that nothing was heard in that time means nothing.
    void restart(double now);

    [[nodiscard]] std::span<const Sign> signs() const { return signs_; }
    [[nodiscard]] const Sign& sign(int rank) const { return signs_[static_cast<std::size_t>(rank)]; }
    /// Seconds since the newest sign of that rank came.
    [[nodiscard]] double silence(int rank, double now) const { return now - heard_[static_cast<std::size_t>(rank)]; }
    /// Seconds that it has been where it is, as far as is known.
    [[nodiscard]] double in_it(int rank, double now) const { return static_cast<double>(sign(rank).in_it) + silence(rank, now); }

private:
    int rank_;
    std::vector<Sign> signs_;    ///< by rank
    std::vector<double> heard_;  ///< when the sign came
};

}  // namespace tandem
