// This machine as a hardware description: a fraction of a second of measuring.
#pragma once

#include "kernels/base/backend.h"
#include "src/engine/device.h"
#include "src/plan/hardware.h"

namespace tandem {

/// `ranks` processors of `threads` CPU threads each, which share this machine's memory. Rates are measured by one rank with its
/// threads while the others do nothing, and shared where there are more threads than processors.
[[nodiscard]] Hardware measure_this_machine(int ranks, int threads);

/// `ranks` ranks on the GPUs of this host, of which the one at `place` is measured: products, copies within it and from pinned host memory,
/// through which cards are taken to reach each other. Ranks that have to share a card have their part of it each.
[[nodiscard]] Hardware measure_gpus(int ranks, const DevicePlace& place);

/// 10^9 B/s of a copy by `threads` threads at once; read and written bytes count once. About 0.3 s.
[[nodiscard]] double copy_bandwidth(int threads);

/// The same within the device's own memory.
[[nodiscard]] double copy_bandwidth(Backend& backend);

/// 10^12 flops a second of a large matrix product. About 0.3 s.
[[nodiscard]] double matmul_tflops(Backend& backend, DType type);

}  // namespace tandem
