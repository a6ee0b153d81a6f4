// What a shared object with a backend in it offers the program: one exported C function that returns one table. The program
// and the shared object each hold their own copy of kernels/base (hidden), and pass C++ types and exceptions to each other:
// that is sound only where both were compiled from the same headers by the same compiler, which `abi` proves.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/attention_kernels.h"
#include "kernels/base/backend.h"

namespace tandem {

/// One card as its driver describes it.
struct DeviceFacts {
    std::string name;          ///< "NVIDIA H200"
    std::string id;            ///< tells the cards of all hosts apart: "GPU-3f2a..." (its UUID)
    std::string architecture;  ///< "sm_90"
    std::size_t memory = 0;    ///< bytes
    std::size_t free = 0;      ///< bytes, now; 0 where it was not asked for
    int multiprocessors = 0;
    std::string library_attention;  ///< "cuDNN 9.19.0": whose attention serves it best (Examine::Attention); empty: own kernels
    bool compiled = false;          ///< machine code for this architecture is in the shared object
    std::string failure;            ///< why it does not start (Examine::FreeMemory): broken, or another program's alone; else empty
};

/// What a shared object was built with and what it finds on this machine.
struct PluginFacts {
    std::string built_with;  ///< "CUDA 13.0, cuBLASLt 13.1.0, sm_80 sm_90"
    std::string found;       ///< "driver for CUDA 13.0 (580.159.03), cuBLASLt 13.1.0"
    std::string failure;     ///< why no device can be used; empty where one can
    std::vector<DeviceFacts> devices;
    std::string attention_library = {};  ///< "cuDNN 9.19.0", or why there is none; empty where it was not looked for
};

enum class Examine : std::uint8_t {
    Facts,
    Attention,   ///< and DeviceFacts::library_attention, for which a library may be opened
    FreeMemory,  ///< and that, and memory, for which this process takes some hundred MiB of every card until it ends
};

/// How a device is to be used.
struct DeviceOptions {
    bool graphs = false;  ///< device.graphs: work that comes again is handed over as one
    AttentionKernels attention = AttentionKernels::Own;
};

struct BackendPlugin {
    const char* abi;  ///< first, so that a table of any version can be refused
    /// Throws Error: Configuration where there is no such device or no such attention, Run for what the device's library reports.
    std::unique_ptr<Backend> (*make)(int device, const DeviceOptions& options);
    /// Does not throw for what is wrong with the machine: that is in `failure`.
    PluginFacts (*examine)(Examine what);
};

/// The name of the one exported function, and its type.
inline constexpr const char* kPluginEntry = "tandem_backend_plugin";
using PluginEntry = const BackendPlugin* (*)();

}  // namespace tandem
