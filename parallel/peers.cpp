#include "parallel/peers.h"

#include <algorithm>

namespace tandem {

Peers::Peers(int rank, int ranks, double now)
    : rank_(rank), signs_(static_cast<std::size_t>(ranks)), heard_(static_cast<std::size_t>(ranks), now) {}

void Peers::give(const Whereabout& w, double now) {
    const auto me = static_cast<std::size_t>(rank_);
    const auto seconds = static_cast<float>(std::max(0.0, now - w.since));
    signs_[me] = {signs_[me].number + 1, w.activity, w.position, seconds, static_cast<float>(w.deadline)};
    heard_[me] = now;
}

void Peers::hear(std::size_t first, std::span<const Sign> signs, double now) {
    for (std::size_t i = 0; i < signs.size() && first + i < signs_.size(); ++i) {
        const std::size_t r = first + i;
        if (r == static_cast<std::size_t>(rank_) || signs[i].number <= signs_[r].number) continue;
        signs_[r] = signs[i];
        heard_[r] = now;
    }
}

void Peers::restart(double now) { std::ranges::fill(heard_, now); }

}  // namespace tandem
