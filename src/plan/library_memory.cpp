#include "src/plan/library_memory.h"

#include <algorithm>
#include <cstring>

#include "parallel/nccl_memory.h"
#include "src/config/units.h"
#include "src/model/model_config.h"

namespace tandem {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;

/// A context of the driver's, this program's kernels and cuBLASLt's, and its handle. Not measured yet: see docs/gpu.md.
constexpr std::size_t kContext = 600 * kMiB;
/// Graphs are kept up to a number of calls (GraphCache::Limits), some KiB of the driver's each.
constexpr std::size_t kGraphs = 64 * kMiB;
/// cuDNN's handle and kernels. Not measured either.
constexpr std::size_t kAttentionLibrary = 128 * kMiB;
/// Of these, kernels that the driver loads when they are first launched, after the arenas have been reserved.
constexpr std::size_t kLoadedLate = 64 * kMiB;
std::size_t loaded_late(const RunConfig& config) {
    return config.device.attention == AttentionKernels::Own ? kLoadedLate : kLoadedLate + kAttentionLibrary / 2;
}

/// One rank's view of its card; ranks on one card see the same but for what changes meanwhile.
struct Claim {
    std::size_t need, free;
};

}  // namespace

GroupUse group_use(const RunConfig& config, Purpose purpose) {
    if (purpose == Purpose::Eval) return {.ends = false, .pipeline = true};
    return {.ends = config.method.type == Method::Full && load_model_config(config.model.path).tied_head, .pipeline = false};
}

std::size_t library_memory(const PlanSubject& subject, const HostRanks& host) {
    const RunConfig& config = subject.config;
    const Transport transport = config.parallel.transport;
    const bool nccl = transport == Transport::Nccl || (transport == Transport::Auto && !host.share_cards);
    const std::size_t groups = nccl ? nccl_memory(mesh_of(subject.layout), host.ranks, group_use(config, subject.purpose)) : 0;
    return kContext + groups + (config.device.graphs ? kGraphs : 0) +
           (config.device.attention == AttentionKernels::Own ? 0 : kAttentionLibrary);
}

std::string require_card(const PlanSubject& subject, std::size_t need, std::size_t free, const DevicePlace& place, Communicator& world,
                         int local_ranks, const std::string& host) {
    if (place.backend != DeviceBackend::Cuda) return "";
    const std::string card = host + "\n" + place.gpu.id + "\n";
    const Claim mine{need, free};
    const auto all = world.gather(card + std::string(reinterpret_cast<const char*>(&mine), sizeof mine));
    Claim together{0, mine.free};
    for (const std::string& other : all) {
        Claim claim;
        if (other.size() != card.size() + sizeof claim || !other.starts_with(card)) continue;
        std::memcpy(&claim, other.data() + card.size(), sizeof claim);
        together.need += claim.need;
        together.free = std::min(together.free, claim.free);
    }
    const auto ranks = static_cast<std::size_t>(place.gpu.sharing);
    const std::size_t taken = place.gpu.memory - std::min(place.gpu.memory, together.free);
    const std::size_t counted = ranks * library_memory(subject, {local_ranks, ranks > 1});
    const std::string what =
        fmt::format("{} of the {} of GPU {} are taken by the driver, CUDA's libraries and whatever else uses it ({} counted)",
                    human_bytes(taken), human_bytes(place.gpu.memory), place.gpu.device, human_bytes(counted));
    const std::size_t late = ranks * loaded_late(subject.config);
    if (together.need + late > together.free) {
        fail(Failure::OutOfMemory,
             "out of memory: {} need {} bytes ({}) and {} for kernels that are loaded later, and {} bytes ({}) are free: {}; end other "
             "programs on it, or give a device.memory_limit that fits and see `tandem plan` for what lowers the need",
             ranks == 1 ? "a rank's tensors" : fmt::format("the tensors of {} ranks", ranks), together.need, human_bytes(together.need),
             human_bytes(late), together.free, human_bytes(together.free), what);
    }
    return what;
}

}  // namespace tandem
