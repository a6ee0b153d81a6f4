// The processor of this rank: backend, stream and arenas, as the configuration asks.
#pragma once

#include <memory>

#include "kernels/base/backend.h"
#include "src/config/run_config.h"

namespace tandem {

struct Device {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Stream> stream;
    std::unique_ptr<DeviceMemory> memory;
};

/// `threads`: what the launcher left to this rank, unless device.threads says otherwise. Throws Configuration where the
/// backend cannot compute in model.dtype.
Device make_device(const RunConfig& config, int threads);

/// Bytes of memory this machine has.
std::size_t physical_memory();
/// High-water mark of this process's resident memory, bytes.
std::size_t peak_resident_memory();

}  // namespace tandem
