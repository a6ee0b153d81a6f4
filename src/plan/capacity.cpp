#include "src/plan/capacity.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "src/config/units.h"
#include "src/engine/state_parts.h"
#include "src/plan/library_memory.h"

namespace tandem {
namespace {

std::size_t physical_memory() {
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || size <= 0) fail(Failure::Run, "the amount of physical memory cannot be read: {}", std::strerror(errno));
    return static_cast<std::size_t>(pages) * static_cast<std::size_t>(size);
}

/// The limit in a file of the control group file system; nothing where there is none ("max", or no such file).
std::optional<std::size_t> group_limit(const char* file) {
    std::ifstream stream(file);
    std::size_t bytes = 0;
    if (stream >> bytes) return bytes;
    return std::nullopt;
}

ActivationPolicy policy_of(Recompute recompute) {
    return recompute == Recompute::Full ? ActivationPolicy::Recompute : ActivationPolicy::Keep;
}

}  // namespace

std::size_t machine_memory() {
    std::size_t bytes = physical_memory();
    for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
        if (const auto limit = group_limit(file)) bytes = std::min(bytes, *limit);
    }
    return bytes;
}

std::optional<std::size_t> available_memory() {
    std::ifstream file("/proc/meminfo");
    constexpr std::string_view kKey = "MemAvailable:";
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(kKey)) return std::stoull(line.substr(kKey.size())) * 1024;
    }
    return std::nullopt;
}

namespace {

Capacity capacity_of(const PlanSubject& subject, int local_ranks, const DevicePlace& place) {
    const bool gpu = place.backend == DeviceBackend::Cuda;
    const auto ranks = static_cast<std::size_t>(gpu ? place.gpu.sharing : local_ranks);
    const std::size_t all = gpu ? place.gpu.memory : machine_memory();
    const std::size_t context = gpu ? library_memory(subject, {local_ranks, place.gpu.sharing > 1}) : 0;
    const std::string whose = gpu ? fmt::format("the {} of GPU {} ({}) without {} for the driver and its libraries", human_bytes(all),
                                                place.gpu.device, place.gpu.name, human_bytes(context * ranks))
                                  : fmt::format("this machine's {}", human_bytes(all));
    return {all / ranks > context ? all / ranks - context : 0, ranks == 1 ? whose : fmt::format("{} for {} ranks", whose, ranks)};
}

}  // namespace

Capacity capacity_here(const PlanSubject& subject, int local_ranks, const DevicePlace& place) {
    Capacity capacity = capacity_of(subject, local_ranks, place);
    const auto limit = subject.config.device.memory_limit;
    return limit && *limit <= capacity.bytes ? Capacity{*limit, "device.memory_limit"} : capacity;
}

std::vector<Suggestion> suggest_savings(const PlanSubject& subject, const MemoryPlan& plan, std::size_t capacity) {
    std::vector<Suggestion> found;
    const auto consider = [&](const std::string& change, const RunConfig& config, ActivationPolicy policy) {
        Suggestion s{change, plan_memory({config, subject.layout, subject.purpose, subject.threads}, policy), false};
        s.fits = s.plan.peak() <= capacity;
        if (s.plan.peak() < plan.peak()) found.push_back(std::move(s));
    };
    RunConfig config = subject.config;
    const bool trains = subject.purpose == Purpose::Train;
    const ActivationPolicy cheapest = trains ? ActivationPolicy::Recompute : plan.policy;
    if (trains && plan.policy == ActivationPolicy::Keep) consider("training.recompute = full", config, ActivationPolicy::Recompute);
    const std::string besides = trains ? "training.recompute = full, " : "";
    while (config.training.micro_batch_size > 1) {
        config.training.micro_batch_size /= 2;
        consider(fmt::format("{}training.micro_batch_size = {}", besides, config.training.micro_batch_size), config, cheapest);
    }
    for (const OptimizerName optimizer : {OptimizerName::AdamW8bit, OptimizerName::PagedAdamW8bit}) {
        if (!trains || config.optimizer.name != OptimizerName::AdamW || config.model.dtype == DType::F64) break;
        RunConfig other = config;
        other.optimizer.name = optimizer;
        try {
            consider(fmt::format("{}training.micro_batch_size = {}, optimizer.name = {}", besides, config.training.micro_batch_size,
                                 name(optimizer)),
                     other, cheapest);
        } catch (const Error& error) {
            if (error.failure() != Failure::Configuration) throw;  // its blocks would be cut: no help
        }
    }
    const auto consider_method = [&](Method method, const char* word) {
        RunConfig other = config;
        other.method.type = method;
        consider(fmt::format("{}training.micro_batch_size = {}, method.type = {}", besides, config.training.micro_batch_size, word), other,
                 cheapest);
    };
    if (trains && config.method.type == Method::Full) consider_method(Method::Lora, "lora");
    if (trains && config.method.type != Method::QLora) consider_method(Method::QLora, "qlora");
    for (int halvings = 0; halvings < 3 && config.data.max_seq_length >= 256; ++halvings) {
        config.data.max_seq_length /= 2;
        consider(fmt::format("{}training.micro_batch_size = {}, data.max_seq_length = {}", besides, config.training.micro_batch_size,
                             config.data.max_seq_length),
                 config, cheapest);
    }
    std::stable_sort(found.begin(), found.end(), [](const Suggestion& a, const Suggestion& b) { return a.fits > b.fits; });
    return found;
}

namespace {

/// Recomputation ahead of the wait for a gradient, and weight gradients after it is passed on, shorten a pipeline's bubble and hold
/// activations: as many units of a stage as there is memory for, halving from all of them.
MemoryPlan with_overlap(const PlanSubject& subject, MemoryPlan plan, std::size_t capacity) {
    int most = 0;
    for (const UnitRange& part : plan.split.parts) most = std::max(most, part.count());
    const bool recomputes = plan.policy == ActivationPolicy::Recompute;
    const bool defers =
        !plan.split.frozen_base && plan.split.sharding.moment == ReduceMoment::Last && plan.split.schedule != Schedule::ZbH1;
    if (plan.split.sizes.pipeline == 1 || !(recomputes || defers)) return plan;
    for (int units = most; units > 0; units /= 2) {
        MemoryPlan more = plan_memory(subject, plan.policy, units);
        if (more.peak() <= capacity) return more;
    }
    return plan;
}

}  // namespace

MemoryPlan choose_plan(const PlanSubject& subject, std::size_t capacity) {
    MemoryPlan plan = plan_memory(subject, policy_of(subject.config.training.recompute));
    if (subject.purpose != Purpose::Train) return plan;
    if (subject.config.training.recompute == Recompute::Auto && plan.peak() > capacity)
        plan = plan_memory(subject, ActivationPolicy::Recompute);
    return with_overlap(subject, std::move(plan), capacity);
}

void fail_for_memory(const std::string& who, const MemoryBytes& need, const Capacity& have, const std::string& help) {
    fail(Failure::OutOfMemory, "out of memory, planned: {} needs {} bytes ({}), has {} ({}); {}{}", who, total(need),
         human_bytes(total(need)), have.bytes, have.source, describe(need), help);
}

MemoryPlan plan_that_fits(const PlanSubject& subject, const Capacity& capacity) {
    MemoryPlan plan = choose_plan(subject, capacity.bytes);
    if (plan.peak() <= capacity.bytes) return plan;
    std::string help;
    for (const Suggestion& s : suggest_savings(subject, plan, capacity.bytes)) {
        if (!s.fits) continue;
        help = fmt::format("; {} would fit ({})", s.change, human_bytes(s.plan.peak()));
        break;
    }
    if (help.empty())
        help = "; no smaller micro-batch, shorter sequence or recomputation of this run fits: `tandem plan` shows what each saves";
    fail_for_memory("a rank", plan.bytes(), capacity, help);
}

MemoryPlan agreed_plan(const PlanSubject& subject, MemoryPlan plan, Communicator& world) {
    const auto chosen = [](const MemoryPlan& p) -> std::array<std::int64_t, 2> {
        return {p.policy == ActivationPolicy::Recompute ? 1 : 0, -std::max(p.split.hoisted_units, p.split.deferred_units)};
    };
    std::array<std::int64_t, 2> most_frugal = chosen(plan);
    world.max(most_frugal);
    if (most_frugal == chosen(plan)) return plan;
    return plan_memory(subject, most_frugal[0] == 1 ? ActivationPolicy::Recompute : ActivationPolicy::Keep,
                       static_cast<int>(-most_frugal[1]));
}

void require_available(const MemoryPlan& plan, Communicator& world, int local_ranks, DeviceBackend backend) {
    // Of ranks that are all here each stage's need is known; of some of them, that each may be of the stage that needs most.
    const auto here = static_cast<std::size_t>(local_ranks);
    const bool on_host = backend != DeviceBackend::Cuda;
    const std::size_t most = (on_host ? plan.peak() : 0) + plan.host();
    std::size_t need = most * here;
    if (local_ranks == world.size()) {
        need = 0;
        for (const StagePlan& stage : plan.stages) need += ((on_host ? stage.peak() : 0) + stage.host) * here / plan.stages.size();
    }
    const std::size_t available = available_memory().value_or(need);
    std::array<std::int64_t, 2> worst = {need > available ? static_cast<std::int64_t>(need - available) : 0,
                                         -static_cast<std::int64_t>(available)};
    world.max(worst);
    if (worst[0] == 0) return;
    fail(Failure::OutOfMemory,
         "out of memory, planned: a rank needs {} bytes ({}), and the {} of a host have {} bytes ({}) available between them now, {} too "
         "little; end other programs, or see `tandem plan` for what would lower the need",
         most, human_bytes(most), local_ranks == 1 ? "one rank" : fmt::format("{} ranks", local_ranks), -worst[1],
         human_bytes(static_cast<std::size_t>(-worst[1])), human_bytes(static_cast<std::size_t>(worst[0])));
}

std::string describe(const MemoryBytes& bytes) {
    std::string text;
    for (std::size_t k = 0; k < kMemoryKinds; ++k) {
        if (bytes[k] == 0) continue;
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name(static_cast<MemoryKind>(k)), human_bytes(bytes[k]));
    }
    return text;
}

}  // namespace tandem
