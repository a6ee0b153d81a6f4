// Who keeps the job from going on: a rank that others wait for looks, from outside, just like those that wait for it.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "parallel/peers.h"

namespace tandem {

struct Stall {
    enum class Kind : std::uint8_t {
        Silent,     ///< the rank gives no more signs of life: stopped, or its host is gone
        Overdue,    ///< it works, on the same thing for too long
        Unclear,    ///< every rank waits, some of them for devices; this one is farthest behind
        Everybody,  ///< every rank waits for another
        Alone,      ///< this rank waits for others, of which nothing can be known
    };
    Kind kind = Kind::Overdue;
    int rank = 0;
    friend bool operator==(const Stall&, const Stall&) = default;
};

struct StallLimits {
    double quiet = 0;             ///< seconds without a sign after which a rank counts as silent
    double silence = 0;           ///< seconds of silence that are too long for any work
    bool others_unknown = false;  ///< there are other ranks, but nothing can be heard of them
};

/// What peers.rank() finds at `now`; nothing where all goes on, or may yet. A rank that waits is not at fault however long it waits, as
/// long as one that works may still be doing so for good reason.
[[nodiscard]] std::optional<Stall> find_stall(const Peers& peers, const StallLimits& limits, double now);

/// "rank 3 on hostB stalled in backward of micro-batch 5 of step 7 for 61 s: ...". `hosts` by rank.
[[nodiscard]] std::string describe(const Stall& stall, const Peers& peers, std::span<const std::string> hosts, double now);

}  // namespace tandem
