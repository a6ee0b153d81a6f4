// Tensors as rows of bytes, as CUDA's two-dimensional copies and fills take them.
#pragma once

#include "kernels/cuda/check.h"

namespace tandem::cuda {

struct Bytes {
    explicit Bytes(const Tensor& x)
        : base(static_cast<std::byte*>(x.raw())),
          rows(x.dims() == 0 ? 1 : static_cast<std::size_t>(x.extent(0))),
          row(static_cast<std::size_t>(x.dims() == 0 ? 1 : x.row_elements()) * size_of(x.dtype())),
          stride(x.contiguous() ? row : static_cast<std::size_t>(x.row_stride()) * size_of(x.dtype())) {}
    /// `like`'s rows, packed, at `packed`.
    Bytes(void* packed, const Bytes& like) : base(static_cast<std::byte*>(packed)), rows(like.rows), row(like.row), stride(like.row) {}

    [[nodiscard]] bool packed() const { return stride == row; }

    std::byte* base;
    std::size_t rows;
    std::size_t row;     ///< bytes of a row
    std::size_t stride;  ///< bytes from one row to the next
};

/// Rows of `from` into those of `to`, of equal number and length. CUDA bounds strides to 2 GiB, so what is packed on both sides
/// goes as one piece of any length.
inline cudaError_t copy(const Bytes& to, const Bytes& from, cudaMemcpyKind kind, cudaStream_t stream) {
    if (to.packed() && from.packed()) return cudaMemcpyAsync(to.base, from.base, to.rows * to.row, kind, stream);
    return cudaMemcpy2DAsync(to.base, to.stride, from.base, from.stride, to.row, to.rows, kind, stream);
}

inline cudaError_t fill_zero(const Bytes& x, cudaStream_t stream) {
    if (x.packed()) return cudaMemsetAsync(x.base, 0, x.rows * x.row, stream);
    return cudaMemset2DAsync(x.base, x.stride, 0, x.row, x.rows, stream);
}

}  // namespace tandem::cuda
