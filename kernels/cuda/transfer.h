// Tensors as rows of bytes, as two-dimensional copies and fills take them.
#pragma once

#include "kernels/base/tensor.h"
#include "kernels/cuda/queue.h"
#include "kernels/cuda/runtime.h"

namespace tandem::cuda {

struct Bytes {
    explicit Bytes(const Tensor& x)
        : base(static_cast<std::byte*>(x.raw())),
          rows(x.dims() == 0 ? 1 : static_cast<std::size_t>(x.extent(0))),
          row(static_cast<std::size_t>(x.dims() == 0 ? 1 : x.row_elements()) * size_of(x.dtype())),
          stride(x.contiguous() ? row : static_cast<std::size_t>(x.row_stride()) * size_of(x.dtype())) {}
    /// `like`'s rows, packed, at `packed`.
    Bytes(void* packed, const Bytes& like) : base(static_cast<std::byte*>(packed)), rows(like.rows), row(like.row), stride(like.row) {}

    std::byte* base;
    std::size_t rows;
    std::size_t row;     ///< bytes of a row
    std::size_t stride;  ///< bytes from one row to the next
};

/// Rows of `from` into those of `to`, of equal number and length, both on the device.
inline Status copy(const Bytes& to, const Bytes& from, StreamHandle stream) {
    const RowsCopy what{to.base, to.stride, from.base, from.stride, to.row, to.rows};
    const auto enqueue = [](const void* bytes, NativeStream native) {
        return copy(*static_cast<const RowsCopy*>(bytes), Direction::DeviceToDevice, native);
    };
    return stream->enqueue({"copy", enqueue, std::as_bytes(std::span(&what, 1))});
}

/// The same from or to the host: behind everything on the stream.
inline Status copy_host(const Bytes& to, const Bytes& from, Direction direction, StreamHandle stream) {
    return copy(RowsCopy{to.base, to.stride, from.base, from.stride, to.row, to.rows}, direction, stream->flushed());
}

inline Status fill_zero(const Bytes& x, StreamHandle stream) {
    const struct Fill {
        void* base;
        std::size_t stride, row, rows;
    } what{x.base, x.stride, x.row, x.rows};
    const auto enqueue = [](const void* bytes, NativeStream native) {
        const auto& fill = *static_cast<const Fill*>(bytes);
        return fill_zero(fill.base, fill.stride, fill.row, fill.rows, native);
    };
    return stream->enqueue({"zero", enqueue, std::as_bytes(std::span(&what, 1))});
}

}  // namespace tandem::cuda
