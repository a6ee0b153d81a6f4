// Boxes of row-major tensors at known places in files, so that several processes read and write parts of one tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/base/tensor.h"
#include "src/io/files.h"

namespace tandem {

/// Where a tensor's elements lie in a file, row-major and without holes.
struct TensorPlace {
    std::uint64_t offset = 0;  ///< of the first byte
    DType dtype = DType::F32;
    Shape shape;
};

/// The box of `extent` elements that begins at `start` of a vector or matrix, contiguous in memory; moves its bytes and no others.
/// Errors as RandomAccessFile's and SharedFile's.
void read_box(const RandomAccessFile& file, const TensorPlace& place, const Shape& start, const Shape& extent, std::span<std::byte> bytes);
void write_box(SharedFile& file, const TensorPlace& place, const Shape& start, const Shape& extent, std::span<const std::byte> bytes);

}  // namespace tandem
