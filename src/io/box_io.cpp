#include "src/io/box_io.h"

#include "kernels/base/error.h"

namespace tandem {
namespace {

/// Calls move(offset in the file, offset in memory, bytes) for every run of the box that is contiguous in both.
void for_runs(const TensorPlace& place, const Shape& start, const Shape& extent, std::size_t bytes, auto move) {
    const Shape& shape = place.shape;
    bool inside = shape.dims() >= 1 && shape.dims() <= 2 && start.dims() == shape.dims() && extent.dims() == shape.dims();
    for (int i = 0; inside && i < shape.dims(); ++i) inside = start[i] >= 0 && extent[i] >= 0 && start[i] + extent[i] <= shape[i];
    require(inside && bytes == static_cast<std::size_t>(extent.elements()) * size_of(place.dtype), "{} bytes for {} elements at {} of {}",
            bytes, extent.str(), start.str(), shape.str());
    if (bytes == 0) return;
    const bool matrix = shape.dims() == 2;
    const std::int64_t columns = matrix ? shape[1] : 1, width = matrix ? extent[1] : 1, first = matrix ? start[1] : 0;
    const std::int64_t runs = width == columns ? 1 : extent[0];
    const std::size_t run = bytes / static_cast<std::size_t>(runs);
    for (std::int64_t r = 0; r < runs; ++r) {
        const auto element = static_cast<std::uint64_t>((start[0] + r) * columns + first);
        move(place.offset + element * size_of(place.dtype), static_cast<std::size_t>(r) * run, run);
    }
}

}  // namespace

void read_box(const RandomAccessFile& file, const TensorPlace& place, const Shape& start, const Shape& extent, std::span<std::byte> bytes) {
    for_runs(place, start, extent, bytes.size(),
             [&](std::uint64_t at, std::size_t from, std::size_t n) { file.read(at, bytes.subspan(from, n)); });
}

void write_box(SharedFile& file, const TensorPlace& place, const Shape& start, const Shape& extent, std::span<const std::byte> bytes) {
    for_runs(place, start, extent, bytes.size(),
             [&](std::uint64_t at, std::size_t from, std::size_t n) { file.write_at(at, bytes.subspan(from, n)); });
}

}  // namespace tandem
