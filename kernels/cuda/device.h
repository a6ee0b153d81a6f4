// The GPUs of this machine, as CUDA shows them to this process.
#pragma once

#include <string>

#include "kernels/base/plugin.h"

namespace tandem::cuda {

/// Makes `device` the one that this process uses. Throws Configuration where there is none of this number, or nothing compiled
/// runs on it.
void select_device(int device);

[[nodiscard]] DeviceFacts describe_device(int device);

/// "CUDA 13.0, cuBLASLt 13.1.0, sm_80 sm_86 sm_89 sm_90": what this was compiled with and for.
[[nodiscard]] std::string built_versions();
/// "driver 580.95.05 for CUDA 13.0, cuBLASLt 13.1.0": what is found at run time.
[[nodiscard]] std::string found_versions();

/// BackendPlugin::examine
[[nodiscard]] PluginFacts examine(Examine what);

}  // namespace tandem::cuda
