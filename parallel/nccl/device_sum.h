// Sums over ranks in rank order, on the device: what parallel/ordered_sum.h is for the host.
#pragma once

#include <span>

#include "kernels/base/backend.h"

namespace tandem {

/// Bytes for each element that sums of 16-bit types take besides the parts: two numbers in fp32.
[[nodiscard]] inline std::size_t wide_bytes(DType dtype) { return size_of(dtype) == 2 ? 2 * sizeof(float) : 0; }

/// out = parts[0] + parts[1] + ..., in that order, in fp32; 16-bit types are rounded once, at the end. All flat and of one length. parts[0]
/// is clobbered; `out` may be one of the parts. `wide`: wide_bytes() for each element. Types: what the backend adds.
void device_sum(Backend& backend, Stream& stream, std::span<const Tensor> parts, const Tensor& out, std::byte* wide);

}  // namespace tandem
