#include "kernels/cuda/embedding.cuh"

#include "kernels/cuda/map.cuh"

namespace tandem::cuda {

namespace {

/// A thread copies one Unit. Bytes: the rows, read once and written once.
template <class Unit>
__global__ void __launch_bounds__(kMapThreads) indexed_copy(IndexedCopy what) {
    const std::int64_t per_row = what.row / static_cast<std::int64_t>(sizeof(Unit));
    const std::int64_t step = std::int64_t{gridDim.x} * kMapThreads;
    for (std::int64_t i = std::int64_t{blockIdx.x} * kMapThreads + threadIdx.x; i < what.count * per_row; i += step) {
        const auto [row, unit] = place(i, per_row);
        const std::int64_t indexed = what.index[row];
        const bool elsewhere = what.route == Route::GatherOrZero && indexed == -1;
        if (!elsewhere && (indexed < 0 || indexed >= what.rows)) give_up();
        const bool scatter = what.route == Route::Scatter;
        const std::int64_t source = scatter ? row : indexed, target = scatter ? indexed : row;
        Unit value{};
        if (!elsewhere) value = reinterpret_cast<const Unit*>(static_cast<const char*>(what.from) + source * what.from_stride)[unit];
        reinterpret_cast<Unit*>(static_cast<char*>(what.to) + target * what.to_stride)[unit] = value;
    }
}

template <class Unit>
Status enqueue_copy(const IndexedCopy& what, StreamHandle stream) {
    const Grid grid = map_grid(what.count * (what.row / static_cast<std::int64_t>(sizeof(Unit))));
    return launch({"indexed copy", grid, kMapThreads}, stream, indexed_copy<Unit>, what);
}

}  // namespace

Status launch_indexed_copy(const IndexedCopy& what, StreamHandle stream) {
    const auto address = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p); };
    const auto bytes = [](std::int64_t n) { return static_cast<std::uintptr_t>(n); };
    const auto bits = address(what.from) | address(what.to) | bytes(what.from_stride) | bytes(what.to_stride) | bytes(what.row);
    if (bits % 16 == 0) return enqueue_copy<Pack<std::uint32_t, 4>>(what, stream);
    if (bits % 4 == 0) return enqueue_copy<std::uint32_t>(what, stream);
    if (bits % 2 == 0) return enqueue_copy<std::uint16_t>(what, stream);
    return enqueue_copy<std::uint8_t>(what, stream);
}

}  // namespace tandem::cuda
