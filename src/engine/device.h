// The processor of this rank: backend, stream and arenas, as the configuration asks.
#pragma once

#include <memory>

#include "kernels/base/backend.h"
#include "kernels/dry/backend_dry.h"
#include "src/config/run_config.h"

namespace tandem {

struct Device {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Stream> stream;
    std::unique_ptr<DeviceMemory> memory;
};

/// Threads of a rank: device.threads, else what the launcher left to it.
[[nodiscard]] int threads_of(const RunConfig& config, int threads);

/// Throws Configuration, naming what is not built or not installed, where device.backend cannot be used on this machine. Costs
/// nothing, so that it comes before a model is planned or loaded.
void check_device(const RunConfig& config);

/// The backend without memory yet: reserve() follows. `threads`: what the launcher left to this rank. Throws Configuration as
/// check_device() does, and where the backend cannot compute in model.dtype.
[[nodiscard]] Device make_device(const RunConfig& config, int threads);
/// Arenas of these sizes: what a dry run has found.
void reserve(Device& device, const MemoryBytes& capacities);
/// Arenas that may each grow to `limit` bytes: for work whose size is not known beforehand (text generation). On hosts that is
/// address space; pages are taken when they are first written.
void reserve_up_to(Device& device, std::size_t limit);

/// A device that counts what the configured one would do; its arenas have no limit.
struct DryDevice {
    Device device;
    DryBackend* backend;  ///< of `device`
};
[[nodiscard]] DryDevice make_dry_device(const RunConfig& config, int threads);

/// High-water mark of this process's resident memory, bytes.
[[nodiscard]] std::size_t peak_resident_memory();

}  // namespace tandem
