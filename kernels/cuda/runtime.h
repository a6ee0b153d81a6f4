// Memory, copies, streams and events of a device: all that the host's half of the cuda backend asks of it besides kernels
// (launch.cuh), matrix products (matrix_products.h), graphs (graph.h) and facts (device.h). Implemented twice, chosen when linking: by
// CUDA's runtime in kernels/cuda/native/, and by the emulator in tests/support/emulator/. Functions mean what CUDA's of the same purpose
// mean, and return its error codes.
#pragma once

#include <cstddef>
#include <string_view>

#include "kernels/cuda/handles.h"

namespace tandem::cuda {

Status allocate(std::size_t bytes, void** base);
Status release(void* base);
/// Host memory that the device reads and writes by itself, zeroed.
Status allocate_pinned(std::size_t bytes, void** base);
Status release_pinned(void* base);
Status memory_info(std::size_t* free, std::size_t* total);

enum class Direction { HostToDevice, DeviceToHost, DeviceToDevice };

/// `rows` rows of `row` bytes, strides in bytes. From pageable host memory: returns when the source may be written again; to it:
/// when the target is complete. All else is enqueued.
struct RowsCopy {
    void* to;
    std::size_t to_stride;
    const void* from;
    std::size_t from_stride;
    std::size_t row, rows;
};
Status copy(const RowsCopy& what, Direction direction, NativeStream stream);
Status fill_zero(void* base, std::size_t stride, std::size_t row, std::size_t rows, NativeStream stream);

Status make_stream(NativeStream* stream);
Status destroy_stream(NativeStream stream);
Status synchronize_stream(NativeStream stream);
Status make_event(EventHandle* event);
Status destroy_event(EventHandle event);
Status record_event(EventHandle event, NativeStream stream);
Status wait_event(NativeStream stream, EventHandle event);
Status synchronize_event(EventHandle event);
Status query_event(EventHandle event, bool* done);

enum class StatusKind {
    OutOfMemory,
    EarlierWork,  ///< a kernel failed, and the device is unusable for this process: found out at whatever call comes next
    Other,
};
struct StatusText {
    std::string_view name, text;
    StatusKind kind;
};
[[nodiscard]] StatusText describe(Status status);

}  // namespace tandem::cuda
