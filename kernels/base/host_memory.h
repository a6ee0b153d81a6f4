// Address space of the host, for backends whose memory is the host's.
#pragma once

#include <cstddef>

#include "kernels/base/tensor.h"

namespace tandem {

/// `bytes` of zeroed, page-aligned address space; a page takes memory when it is first written, so that a large arena that
/// is never filled costs nothing. Zero bytes are legal. Throws OutOfMemory naming the bytes and the system's reason.
[[nodiscard]] void* reserve_host_memory(std::size_t bytes);

/// Gives back what reserve_host_memory(bytes) returned.
void unreserve_host_memory(void* base, std::size_t bytes) noexcept;

/// Packed rows at `source` into a view in host memory, and back; bytes between the view's rows stay as they are.
void copy_to_view(const void* source, const Tensor& target);
void copy_from_view(const Tensor& source, void* target);

}  // namespace tandem
