#include "parallel/stall.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace tandem {
namespace {

/// Seconds for which nothing must have moved before all ranks count as waiting: what is known of others is a little old.
constexpr double kSettled = 2;
/// How long a rank that is overdue has to say so itself.
constexpr double kItsOwnWord = 3;

struct View {
    const Peers& peers;
    const StallLimits& limits;
    double now;

    [[nodiscard]] const Sign& sign(int r) const { return peers.sign(r); }
    [[nodiscard]] double in_it(int r) const { return peers.in_it(r, now); }
    [[nodiscard]] double deadline(int r) const { return static_cast<double>(sign(r).deadline); }
    [[nodiscard]] bool quiet(int r) const { return r != peers.rank() && !limits.others_unknown && peers.silence(r, now) >= limits.quiet; }
    /// A rank that was waiting when it fell silent had not used up any of its time.
    [[nodiscard]] bool silent_too_long(int r) const {
        const double silence = peers.silence(r, now);
        const double time = sign(r).activity == Activity::Waiting ? silence : in_it(r);
        return silence >= limits.silence || time >= deadline(r);
    }
};

/// The rank of those for which `counts` that has been silent longest.
template <class Counts>
std::optional<Stall> most_silent(const View& view, Counts counts) {
    std::optional<Stall> found;
    for (int r = 0; r < view.peers.size(); ++r) {
        if (!view.quiet(r) || !counts(r)) continue;
        if (!found || view.peers.silence(r, view.now) > view.peers.silence(found->rank, view.now)) found = Stall{Stall::Kind::Silent, r};
    }
    return found;
}

/// This rank waits, or may be waiting, for longer than it should: whose fault is it?
std::optional<Stall> whom_to_blame(const View& view) {
    const int me = view.peers.rank(), ranks = view.peers.size();
    if (view.limits.others_unknown) return Stall{Stall::Kind::Alone, me};
    bool working = false, moving = false, quiet = false;
    std::optional<Stall> overdue, behind;
    const auto place = [&](int r) {
        const Position& p = view.sign(r).position;
        return std::tuple(p.step, p.count > 0 ? static_cast<double>(p.instruction) / p.count : 1.0, -view.in_it(r));
    };
    for (int r = 0; r < ranks; ++r) {
        const Activity activity = view.sign(r).activity;
        quiet = quiet || view.quiet(r);
        moving = moving || view.in_it(r) < kSettled;
        working = working || activity == Activity::Working;
        if (activity == Activity::Working && view.in_it(r) > view.deadline(r) + kItsOwnWord && !overdue)
            overdue = Stall{Stall::Kind::Overdue, r};
        if (activity == Activity::Unclear && (!behind || place(r) < place(behind->rank))) behind = Stall{Stall::Kind::Unclear, r};
    }
    if (quiet) return most_silent(view, [&](int r) { return view.peers.silence(r, view.now) >= view.deadline(me); });
    if (working) return overdue;
    if (moving) return std::nullopt;
    return behind ? behind : Stall{Stall::Kind::Everybody, me};
}

std::string place_of(int rank, std::span<const std::string> hosts) {
    return fmt::format("rank {} on {}", rank, hosts[static_cast<std::size_t>(rank)]);
}

/// The first of the ranks, with where each waits.
std::string roll_call(const Peers& peers, std::span<const std::string> hosts) {
    constexpr int kNamed = 4;
    std::string text;
    for (int r = 0; r < std::min(peers.size(), kNamed); ++r)
        text += fmt::format("{}{} in {}", r > 0 ? ", " : "", place_of(r, hosts), to_text(peers.sign(r).position));
    return peers.size() > kNamed ? fmt::format("{} and {} more", text, peers.size() - kNamed) : text;
}

}  // namespace

std::optional<Stall> find_stall(const Peers& peers, const StallLimits& limits, double now) {
    const View view{peers, limits, now};
    if (const auto silent = most_silent(view, [&](int r) { return view.silent_too_long(r); })) return silent;
    const int me = peers.rank();
    if (view.in_it(me) < view.deadline(me)) return std::nullopt;
    if (peers.sign(me).activity == Activity::Working) return Stall{Stall::Kind::Overdue, me};
    return whom_to_blame(view);
}

std::string describe(const Stall& stall, const Peers& peers, std::span<const std::string> hosts, double now) {
    const int r = stall.rank;
    const std::string where = to_text(peers.sign(r).position);
    const double seconds = peers.in_it(r, now), deadline = static_cast<double>(peers.sign(r).deadline);
    switch (stall.kind) {
        case Stall::Kind::Silent:
            return fmt::format(
                "{} stalled in {}, where it was last heard of, for {:.0f} s: its process gives no more signs of life; it is stopped or "
                "swapped out, or its host is gone",
                place_of(r, hosts), where, peers.silence(r, now));
        case Stall::Kind::Overdue:
            return fmt::format("{} stalled in {} for {:.0f} s; its deadline was {:.0f} s (watchdog.deadline)", place_of(r, hosts), where,
                               seconds, deadline);
        case Stall::Kind::Unclear:
            return fmt::format(
                "{} stalled in {} for {:.0f} s; its deadline was {:.0f} s (watchdog.deadline). All ranks wait for their GPUs or for each "
                "other, and this one is farthest behind",
                place_of(r, hosts), where, seconds, deadline);
        case Stall::Kind::Everybody:
            return fmt::format(
                "every rank has waited for another for {:.0f} s, and none works: {}; a message was lost, or the ranks disagree about what "
                "comes next",
                seconds, roll_call(peers, hosts));
        case Stall::Kind::Alone:
            return fmt::format(
                "{} waited in {} for {:.0f} s for other ranks; its deadline was {:.0f} s (watchdog.deadline). This MPI library has no "
                "MPI_THREAD_MULTIPLE, so that which of them stalled is not known",
                place_of(r, hosts), where, seconds, deadline);
    }
    return "";
}

}  // namespace tandem
