#include "src/engine/device.h"

#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "kernels/loader/cuda.h"

namespace tandem {

std::size_t peak_resident_memory() {
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) != 0) fail(Failure::Run, "getrusage: {}", std::strerror(errno));
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

int threads_of(const RunConfig& config, int threads) { return config.device.threads ? static_cast<int>(*config.device.threads) : threads; }

namespace {

void check_type(const Backend& backend, const RunConfig& config) {
    if (backend.supports(config.model.dtype)) return;
    fail(Failure::Configuration, "model.dtype = {} is not available with device.backend = {}; fp64 needs device.backend = ref",
         name(config.model.dtype), backend.name());
}

}  // namespace

namespace {

/// The GPU of this process, or why there is none.
GpuPlace find_gpu(int local_rank, Examine what) {
    const BackendPlugin& plugin = open_cuda();
    const PluginFacts facts = plugin.examine(what);
    if (!facts.failure.empty() || facts.devices.empty()) fail(Failure::Configuration, "{}", facts.failure);
    GpuPlace gpu;
    gpu.cards = static_cast<int>(facts.devices.size());
    gpu.device = local_rank % gpu.cards;
    const DeviceFacts& card = facts.devices[static_cast<std::size_t>(gpu.device)];
    if (!card.compiled)
        fail(Failure::Configuration, "GPU {} is a {} ({}), and this was built with {}", gpu.device, card.name, card.architecture,
             facts.built_with);
    gpu.name = card.name;
    gpu.id = card.id;
    gpu.memory = card.memory;
    gpu.library_attention = !card.library_attention.empty();
    return gpu;
}

}  // namespace

namespace {

/// Whether device.attention = auto can be cuDNN's, which computes in 16-bit types only.
bool may_be_a_librarys(const RunConfig& config) {
    return config.device.attention == AttentionKernels::Auto && (config.model.dtype == DType::BF16 || config.model.dtype == DType::F16);
}

}  // namespace

void settle_attention(RunConfig& config, bool library) {
    if (config.device.attention == AttentionKernels::Auto && !(library && may_be_a_librarys(config)))
        config.device.attention = AttentionKernels::Own;
}

DevicePlace place_on_device(const RunConfig& config, int local_rank) {
    DevicePlace place;
    switch (config.device.backend) {
        case DeviceBackend::Ref: place.backend = DeviceBackend::Ref; return place;
        case DeviceBackend::Cpu: return place;
        default: break;
    }
    try {
        place.gpu = find_gpu(local_rank, may_be_a_librarys(config) ? Examine::Attention : Examine::Facts);
        place.backend = DeviceBackend::Cuda;
    } catch (const Error& error) {
        if (config.device.backend == DeviceBackend::Cuda) {
            fail(Failure::Configuration, "{}: device.backend = cuda: {}; device.backend = cpu (or auto) needs no GPU",
                 config.origin("device.backend"), error.what());
        }
        if (!missing_library(CudaFiles{}.driver))
            place.note = fmt::format("there is an NVIDIA driver, but the CPU is used: {}", error.what());
    }
    return place;
}

DevicePlace place_of_rank(const RunConfig& config, Communicator& world, int local_rank, const std::string& host) {
    DevicePlace place = place_on_device(config, local_rank);
    // A line of its own for each card: ranks of one host that see the same card share it.
    const bool here = place.backend == DeviceBackend::Cuda;
    const std::string mine = here ? host + "\n" + place.gpu.id : "";
    int with = 0, sharing = 0;
    const auto all = world.gather(mine);
    std::array<std::int64_t, 1> without_library = {place.gpu.library_attention ? 0 : 1};
    world.max(without_library);
    place.gpu.library_attention = without_library[0] == 0;
    for (const std::string& other : all) {
        if (!other.empty()) ++with;
        if (other == mine) ++sharing;
    }
    if (with != 0 && with != static_cast<int>(all.size())) {
        fail(Failure::Configuration,
             "device.backend = auto: {} of {} ranks see a GPU and the others do not; set device.backend = cpu, or start the job where "
             "every rank has one",
             with, all.size());
    }
    if (here) place.gpu.sharing = sharing;
    return place;
}

RunConfig on_device(RunConfig config, const DevicePlace& place) {
    config.device.backend = place.backend;
    settle_attention(config, place.gpu.library_attention);
    return config;
}

Device make_device(const RunConfig& config, int threads, const DevicePlace& place) {
    if (config.device.attention == AttentionKernels::Cudnn && place.backend != DeviceBackend::Cuda) {
        fail(Failure::Configuration, "{}: device.attention = cudnn needs a GPU, and this is not computed on one (device.backend = {})",
             config.origin("device.attention"), place.backend == DeviceBackend::Ref ? "ref" : "cpu");
    }
    Device device;
    switch (place.backend) {
        case DeviceBackend::Ref: device.backend = make_ref_backend(); break;
        case DeviceBackend::Cuda:
            device.backend = make_cuda_backend(place.gpu.device,
                                               {.graphs = config.device.graphs, .attention = on_device(config, place).device.attention});
            break;
        default: device.backend = make_cpu_backend(threads_of(config, threads)); break;
    }
    check_type(*device.backend, config);
    device.stream = device.backend->make_stream();
    return device;
}

Device make_device(const RunConfig& config, int threads) { return make_device(config, threads, place_on_device(config, 0)); }

void reserve(Device& device, const MemoryBytes& capacities) { device.memory = std::make_unique<DeviceMemory>(*device.backend, capacities); }

void reserve_up_to(Device& device, std::size_t limit) { device.memory = std::make_unique<DeviceMemory>(*device.backend, limit); }

DryDevice make_dry_device(const RunConfig& config, int threads) {
    auto backend = config.device.backend == DeviceBackend::Ref    ? make_dry_ref_backend()
                   : config.device.backend == DeviceBackend::Cuda ? make_dry_cuda_backend(config.device.attention)
                                                                  : make_dry_cpu_backend(threads_of(config, threads));
    check_type(*backend, config);
    DryDevice dry{{}, backend.get()};
    dry.device.stream = backend->make_stream();
    dry.device.backend = std::move(backend);
    reserve_up_to(dry.device, std::size_t{1} << 48U);
    return dry;
}

}  // namespace tandem
