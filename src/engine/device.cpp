#include "src/engine/device.h"

#include <fmt/ranges.h>
#include <sys/resource.h>

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

void check_device(const RunConfig& config) {
    if (config.device.backend != DeviceBackend::Cuda) return;
    // No model runs on GPUs in this version. What keeps the CUDA part from being used at all (not built, no driver) comes first,
    // because only the user can change that.
    std::string reason;
    try {
        reason = fmt::format("this version of tandem lacks these ops for GPUs: {}", fmt::join(open_cuda().missing_ops(), ", "));
    } catch (const Error& error) {
        reason = error.what();
    }
    fail(Failure::Configuration, "{}: device.backend = cuda: {}; device.backend = cpu (or auto) needs no GPU",
         config.origin("device.backend"), reason);
}

Device make_device(const RunConfig& config, int threads) {
    check_device(config);
    Device device;
    if (config.device.backend == DeviceBackend::Ref) {
        device.backend = make_ref_backend();
    } else {
        device.backend = make_cpu_backend(threads_of(config, threads));
    }
    check_type(*device.backend, config);
    device.stream = device.backend->make_stream();
    return device;
}

void reserve(Device& device, const MemoryBytes& capacities) { device.memory = std::make_unique<DeviceMemory>(*device.backend, capacities); }

void reserve_up_to(Device& device, std::size_t limit) { device.memory = std::make_unique<DeviceMemory>(*device.backend, limit); }

DryDevice make_dry_device(const RunConfig& config, int threads) {
    auto backend = config.device.backend == DeviceBackend::Ref ? make_dry_ref_backend() : make_dry_cpu_backend(threads_of(config, threads));
    check_type(*backend, config);
    DryDevice dry{{}, backend.get()};
    dry.device.stream = backend->make_stream();
    dry.device.backend = std::move(backend);
    reserve_up_to(dry.device, std::size_t{1} << 48U);
    return dry;
}

}  // namespace tandem
