#include "src/train/device.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tandem {

std::size_t physical_memory() {
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || size <= 0) fail(Failure::Run, "the amount of physical memory cannot be read: {}", std::strerror(errno));
    return static_cast<std::size_t>(pages) * static_cast<std::size_t>(size);
}

std::size_t peak_resident_memory() {
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) != 0) fail(Failure::Run, "getrusage: {}", std::strerror(errno));
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

Device make_device(const RunConfig& config, int threads) {
    Device device;
    const int count = config.device.threads ? static_cast<int>(*config.device.threads) : threads;
    if (config.device.backend == DeviceBackend::Ref) {
        device.backend = make_ref_backend();
    } else {
        device.backend = make_cpu_backend(count);
    }
    if (!device.backend->supports(config.model.dtype)) {
        fail(Failure::Configuration, "model.dtype = {} is not available with device.backend = {}; fp64 needs device.backend = ref",
             name(config.model.dtype), device.backend->name());
    }
    device.stream = device.backend->make_stream();
    const std::size_t all = physical_memory();
    const std::size_t limit = config.device.memory_limit ? std::min<std::size_t>(*config.device.memory_limit, all) : all;
    device.memory = std::make_unique<DeviceMemory>(*device.backend, limit);
    return device;
}

}  // namespace tandem
