// The processor of this rank: backend, stream and arenas, as the configuration asks.
#pragma once

#include <memory>
#include <string>

#include "kernels/base/backend.h"
#include "kernels/dry/backend_dry.h"
#include "parallel/communicator.h"
#include "src/config/run_config.h"

namespace tandem {

struct Device {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Stream> stream;
    std::unique_ptr<DeviceMemory> memory;
};

/// Threads of a rank: device.threads, else what the launcher left to it.
[[nodiscard]] int threads_of(const RunConfig& config, int threads);

/// The GPU that a rank computes on.
struct GpuPlace {
    int device = 0;                  ///< its number among those that CUDA shows this process
    std::string name, id;            ///< as DeviceFacts
    std::size_t memory = 0;          ///< bytes it has
    int cards = 1;                   ///< that CUDA shows this process
    int sharing = 1;                 ///< ranks of this job on it
    bool library_attention = false;  ///< device.attention = auto is cuDNN's on it
};

/// Where a rank computes.
struct DevicePlace {
    DeviceBackend backend = DeviceBackend::Cpu;  ///< never Auto
    GpuPlace gpu;                                ///< of DeviceBackend::Cuda
    std::string note;                            ///< why device.backend = auto passes over a GPU that seems to be there; else empty
};

/// What device.backend means for this process alone: `auto` is cuda where a GPU can be used, else cpu. GPUs are dealt to the ranks of a
/// host in turn. Throws Configuration, naming what is not built or not installed, where device.backend = cuda cannot be had. Takes no
/// memory of a GPU, so that it comes before a model is planned or loaded.
[[nodiscard]] DevicePlace place_on_device(const RunConfig& config, int local_rank);

/// The same for a rank of a job, with GpuPlace::sharing, and the same backend and attention on every rank: throws Configuration also where
/// device.backend = auto finds GPUs for some ranks only. `host` names this rank's machine. Collective.
[[nodiscard]] DevicePlace place_of_rank(const RunConfig& config, Communicator& world, int local_rank, const std::string& host);
/// `config` with device.backend as it was found, and device.attention settled.
[[nodiscard]] RunConfig on_device(RunConfig config, const DevicePlace& place);

/// device.attention = auto becomes `own` unless the card's is cuDNN's (`library`) and cuDNN computes in model.dtype.
void settle_attention(RunConfig& config, bool library);

/// The backend without memory yet: reserve() follows. `threads`: what the launcher left to this rank; `place`: as place_on_device() found.
/// Throws Configuration where the backend cannot compute in model.dtype, or device.attention cannot be had.
[[nodiscard]] Device make_device(const RunConfig& config, int threads, const DevicePlace& place);
/// The same for one rank alone.
[[nodiscard]] Device make_device(const RunConfig& config, int threads);
/// Arenas of these sizes: what a dry run has found.
void reserve(Device& device, const MemoryBytes& capacities);
/// Arenas that may each grow to `limit` bytes: for work whose size is not known beforehand (text generation). On hosts that is
/// address space; pages are taken when they are first written.
void reserve_up_to(Device& device, std::size_t limit);

/// A device that counts what the configured one would do; its arenas have no limit. device.backend = auto is the cpu.
struct DryDevice {
    Device device;
    DryBackend* backend;  ///< of `device`
};
[[nodiscard]] DryDevice make_dry_device(const RunConfig& config, int threads);

/// High-water mark of this process's resident memory, bytes.
[[nodiscard]] std::size_t peak_resident_memory();

}  // namespace tandem
