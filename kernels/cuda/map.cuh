// A function at every place of matrices of one extent: what ops have in common that compute an element from the elements beside it.
#pragma once

#include <algorithm>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"

namespace tandem::cuda {

inline constexpr int kMapThreads = 256;
/// Packs that one launch hands out at once; threads go on to the next ones when there are more.
inline constexpr std::int64_t kMapBlocks = std::int64_t{1} << 20U;

struct Place {
    std::int64_t row, column;
};

/// Where number i lies when `per_row` make a row.
__device__ inline Place place(std::int64_t i, std::int64_t per_row) {
    constexpr std::int64_t k32Bits = 0xffffffff;
    if (i <= k32Bits && per_row <= k32Bits) {  // a division of 64-bit numbers takes several times as long
        const auto number = static_cast<std::uint32_t>(i), divisor = static_cast<std::uint32_t>(per_row);
        return {number / divisor, number % divisor};
    }
    return {i / per_row, i % per_row};
}

/// Blocks for one thread each of `threads` places.
inline Grid map_grid(std::int64_t threads) {
    return {static_cast<unsigned>(std::min((threads + kMapThreads - 1) / kMapThreads, kMapBlocks))};
}

/// f.at<kCount>(place, x...) for every kCount elements of a row, and f.at<1> for what is left of it; x point at the place. One thread has
/// all operands of a place, so that they may be the same memory.
template <int kCount, class F, class... T>
__global__ void __launch_bounds__(kMapThreads) map(Extent extent, F f, Matrix<T>... x) {
    const std::int64_t per_row = (extent.columns + kCount - 1) / kCount;
    const std::int64_t step = std::int64_t{gridDim.x} * kMapThreads;
    for (std::int64_t i = std::int64_t{blockIdx.x} * kMapThreads + threadIdx.x; i < extent.rows * per_row; i += step) {
        auto [row, column] = place(i, per_row);
        column *= kCount;
        if (column + kCount <= extent.columns) {
            f.template at<kCount>(Place{row, column}, x.data + row * x.stride + column...);
        } else {
            for (; column < extent.columns; ++column) f.template at<1>(Place{row, column}, x.data + row * x.stride + column...);
        }
    }
}

/// map() in accesses of 16 bytes where every row of every operand is aligned, and element by element otherwise.
template <class F, class... T>
Status launch_map(const char* name, StreamHandle stream, Extent extent, F f, Matrix<T>... x) {
    constexpr int kCount = 16 / static_cast<int>(std::min({sizeof(T)...}));
    const std::int64_t packs = extent.rows * ((extent.columns + kCount - 1) / kCount);
    if ((aligned(extent, x) && ...)) return launch({name, map_grid(packs), kMapThreads}, stream, map<kCount, F, T...>, extent, f, x...);
    return launch({name, map_grid(extent.rows * extent.columns), kMapThreads}, stream, map<1, F, T...>, extent, f, x...);
}

/// y = f(x...) for kCount elements, in fp32 between the types.
template <int kCount, class F, class Y, class... X>
__device__ void transform(F f, Y* y, const Pack<X, kCount>&... x) {
    Pack<Y, kCount> out{};  // initialised, because gcc 12 fails on the emulated kernel without
#pragma unroll
    for (int e = 0; e < kCount; ++e) out.at[e] = narrow<Y>(f(widen(x.at[e])...));
    store(y, out);
}

}  // namespace tandem::cuda
