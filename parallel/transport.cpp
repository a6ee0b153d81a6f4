#include "parallel/transport.h"

#include <algorithm>
#include <map>

#include "parallel/live_transport.h"
#include "parallel/staged_communicator.h"
#include "parallel/transport_check.h"
#include "parallel/whereabouts.h"

namespace tandem {
namespace {

constexpr std::size_t kMeasured = std::size_t{16} << 20U;

/// The most ranks on one card.
int sharing(Communicator& world, const std::string& card) {
    std::map<std::string, int> ranks;
    for (const std::string& one : world.gather(card)) ++ranks[one];
    const auto most = [](const auto& a, const auto& b) { return a.second < b.second; };
    return std::max_element(ranks.begin(), ranks.end(), most)->second;
}

/// What the lowest rank says that says anything, with its number. Collective.
std::string first_of(Communicator& world, const std::string& mine) {
    const auto all = world.gather(mine);
    for (std::size_t r = 0; r < all.size(); ++r) {
        if (!all[r].empty()) return fmt::format("rank {}: {}", r, all[r]);
    }
    return "";
}

/// What `work` returns or throws on the lowest rank where it fails; empty where it succeeds everywhere. Collective.
std::string failure_of_any(Communicator& world, const std::function<std::string()>& work) {
    std::string mine;
    try {
        mine = work();
    } catch (const Error& error) {
        mine = error.what();
    }
    return first_of(world, mine);
}

/// Empty where all ranks have the same one.
std::string differences(Communicator& world, const std::string& library) {
    const auto all = world.gather(library);
    for (std::size_t r = 0; r < all.size(); ++r) {
        if (all[r] != library) return fmt::format("here is {}, rank {} has {}", library, r, all[r]);
    }
    return "";
}

/// All ranks over a transport, and once more, for the proof alone: what that takes of the devices is given back after it.
struct Groups {
    std::unique_ptr<Communicator> world, ring;
};

std::string verify(const TransportRequest& request, Groups& groups) {
    groups.ring = groups.world->split(0, groups.world->rank());
    groups.ring->connect_neighbours();
    return verify_transport(request.backend, request.stream, *groups.ring);
}

/// NCCL's groups, or nothing and why. Every step is agreed on before the next: in NCCL's own calls a rank would wait for one that failed.
Groups try_nccl(const TransportRequest& request, std::string& library, std::string& obstacle) {
    Communicator& world = request.world;
    const TransportPlugin* plugin = nullptr;
    Groups groups;
    obstacle = failure_of_any(world, [&] {
        plugin = &request.plugin();
        set_live_transport(plugin);
        library = plugin->describe();
        return std::string();
    });
    if (obstacle.empty()) obstacle = first_of(world, differences(world, library));
    if (obstacle.empty()) {
        auto control = world.split(0, world.rank());
        obstacle = failure_of_any(world, [&] {
            groups.world = plugin->make(request.backend, std::move(control));
            return std::string();
        });
    }
    if (obstacle.empty()) obstacle = failure_of_any(world, [&] { return verify(request, groups); });
    if (obstacle.empty()) {
        Whereabouts::here().devices_meet(true);
    } else {
        if (groups.ring) plugin->abort_all();  // others may never come to what a rank that failed has begun
        groups = {};
        set_live_transport(nullptr);
    }
    return groups;
}

std::string report(const TransportRequest& request, const Groups& groups, const std::string& why) {
    const double rate = all_reduce_rate(request.backend, request.stream, *groups.ring, kMeasured);
    return fmt::format("{} ({}); all-reduce of {} MiB at {:.2g} GB/s", groups.world->name(), why, kMeasured >> 20U, rate / 1e9);
}

}  // namespace

DeviceTransport make_device_communicator(const TransportRequest& request) {
    const int on_one_card = sharing(request.world, request.card);
    std::string why = fmt::format("{} ranks share a GPU", on_one_card);
    if (request.wish == TransportWish::Staged) why = "parallel.transport = staged";
    if (request.wish == TransportWish::Nccl || (request.wish == TransportWish::Auto && on_one_card == 1)) {
        std::string library;
        Groups groups = try_nccl(request, library, why);
        if (groups.world) {
            std::string line = report(request, groups, library);
            return {std::move(groups.world), std::move(line)};
        }
        if (request.wish == TransportWish::Nccl) {
            fail(Failure::Configuration, "parallel.transport = nccl cannot be had: {}; parallel.transport = staged needs no NCCL", why);
        }
    }
    Groups staged{make_staged_communicator(request.backend, request.world), nullptr};
    // What is thrown here ends the job: others may be waiting in MPI for the rank that throws.
    const auto failure = first_of(request.world, verify(request, staged));
    if (!failure.empty())
        fail(Failure::Run, "the GPUs' memory cannot be reached through the hosts' (parallel.transport = staged): {}", failure);
    std::string line = report(request, staged, why);
    return {std::move(staged.world), std::move(line)};
}

}  // namespace tandem
