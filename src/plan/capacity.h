// How much memory a rank may use, and the refusal of a run that needs more.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/engine/device.h"
#include "src/plan/memory_plan.h"

namespace tandem {

struct Capacity {
    std::size_t bytes = 0;
    std::string source;  ///< where the figure comes from: "device.memory_limit", "this machine's 24.00 GiB for 2 ranks"
};

/// Bytes of memory that this machine, or the control group that this process is in, has.
[[nodiscard]] std::size_t machine_memory();

/// MemAvailable of /proc/meminfo, bytes; nothing where the kernel does not say.
[[nodiscard]] std::optional<std::size_t> available_memory();

/// The least of device.memory_limit and the memory of where a rank computes: its GPU's, shared by the ranks on it, less library_memory();
/// else this machine's, shared by its `local_ranks` ranks.
[[nodiscard]] Capacity capacity_here(const PlanSubject& subject, int local_ranks, const DevicePlace& place);

/// A change of the configuration, and what the run would need with it.
struct Suggestion {
    std::string change;  ///< "training.recompute = full"
    MemoryPlan plan;
    bool fits = false;
};

/// What would lower the need of `plan`, best first: what fits before what does not, and what costs least first.
[[nodiscard]] std::vector<Suggestion> suggest_savings(const PlanSubject& subject, const MemoryPlan& plan, std::size_t capacity);

/// The plan of training.recompute, where that is `auto` with as little recomputation as fits, and of a pipeline with as much overlap
/// (see plan_memory()) as fits. It may not fit.
[[nodiscard]] MemoryPlan choose_plan(const PlanSubject& subject, std::size_t capacity);

/// Throws OutOfMemory, naming need, have and the kinds: `who` ("a rank") needs more than there is. `help` ends the message.
[[noreturn]] void fail_for_memory(const std::string& who, const MemoryBytes& need, const Capacity& have, const std::string& help);

/// choose_plan() of a run that is about to start. Throws OutOfMemory naming need, have, the largest kinds and what would help.
[[nodiscard]] MemoryPlan plan_that_fits(const PlanSubject& subject, const Capacity& capacity);

/// `plan` as all ranks of the run have it: where hosts have different memory, one may have chosen to recompute or to overlap less, and then
/// all do, for their programs must fit together. Collective over `world`.
[[nodiscard]] MemoryPlan agreed_plan(const PlanSubject& subject, MemoryPlan plan, Communicator& world);

/// Other programs use memory, too: throws OutOfMemory where the ranks of some host need more than it has to give right now (on GPUs: for
/// what lives in the host's memory besides; a card that has too little says so when it is reserved). Collective over `world`, before
/// anything is allocated. (What is chosen by itself follows the machine's memory, not this figure, so that it is the same in every run.)
void require_available(const MemoryPlan& plan, Communicator& world, int local_ranks, DeviceBackend backend);

/// "weights 266.0 MiB, gradients 18.6 MiB, ...": the kinds that are not empty.
[[nodiscard]] std::string describe(const MemoryBytes& bytes);

}  // namespace tandem
