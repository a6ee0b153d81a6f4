#include "kernels/cuda/bias.cuh"

#include "kernels/cuda/map.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

struct BiasAdd {
    template <int kCount, class T>
    __device__ void at(Place, T* y, const T* bias) const {
        transform<kCount>([](float value, float b) { return value + b; }, y, load<kCount>(y), load<kCount>(bias));
    }
};

enum class Into : std::uint8_t { PartialSums, Sums };

template <int kCount>
struct WarpSums {
    Pack<float, kCount> at[kWarps][kWarp];
};

// out[part, j] = sum of x[i, j] over the part's rows i, or, of a single part, out[j] += the sum.
//
// A block has 32 kCount columns and one part: a lane kCount columns, warp w rows w, w + 8, ... in this order; then the warps' sums in
// their order. Bytes: x once.
template <int kCount, class T>
__global__ void __launch_bounds__(kThreads) column_sums(Extent extent, std::int64_t rows_each, Matrix<const T> x, float* out, Into into) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const std::int64_t column = (std::int64_t{blockIdx.x} * kWarp + lane) * kCount;
    const std::int64_t first = blockIdx.y * rows_each, last = min(first + rows_each, extent.rows);
    Pack<float, kCount> sum{};
    if (column < extent.columns) {
#pragma unroll 4
        for (std::int64_t i = first + warp; i < last; i += kWarps) {
            const auto values = load<kCount>(x.data + i * x.stride + column);
#pragma unroll
            for (int e = 0; e < kCount; ++e) sum.at[e] += widen(values.at[e]);
        }
    }
    auto& all = shared<WarpSums<kCount>>().at;
    all[warp][lane] = sum;
    __syncthreads();
    if (warp != 0 || column >= extent.columns) return;
    for (int other = 1; other < kWarps; ++other)
        for (int e = 0; e < kCount; ++e) sum.at[e] += all[other][lane].at[e];
    float* target = out + blockIdx.y * extent.columns + column;
    for (int e = 0; e < kCount; ++e) target[e] = into == Into::Sums ? target[e] + sum.at[e] : sum.at[e];
}

template <int kCount, class T>
Status enqueue_sums(Extent extent, std::int64_t parts, Matrix<const T> x, float* out, Into into, StreamHandle stream) {
    const std::int64_t across = (extent.columns + kWarp * kCount - 1) / (kWarp * kCount);
    const Grid grid{static_cast<unsigned>(across), static_cast<unsigned>(parts)};
    return launch({"column sums", grid, kThreads, sizeof(WarpSums<kCount>)}, stream, column_sums<kCount, T>, extent,
                  (extent.rows + parts - 1) / parts, x, out, into);
}

}  // namespace

Status launch_bias_add(Extent extent, const Rows& bias, const Rows& y, StreamHandle stream) {
    return with_element(y.type, [&]<class T>(Tag<T>) {
        return launch_map("bias_add", stream, extent, BiasAdd{}, matrix<T>(y), Matrix<const T>{static_cast<const T*>(bias.data), 0});
    });
}

Status launch_column_sums(Extent extent, const Rows& x, float* partial, float* sums, StreamHandle stream) {
    const std::int64_t parts = column_sum_parts(extent);
    float* out = parts == 1 ? sums : partial;
    const Into into = parts == 1 ? Into::Sums : Into::PartialSums;
    const Status status = with_element(x.type, [&]<class T>(Tag<T>) {
        constexpr int kCount = 16 / sizeof(T);
        const auto from = matrix<const T>(x);
        const bool packs = extent.columns % kCount == 0 && aligned(extent, from);
        return packs ? enqueue_sums<kCount>(extent, parts, from, out, into, stream)
                     : enqueue_sums<1>(extent, parts, from, out, into, stream);
    });
    if (!status.ok() || parts == 1) return status;
    const Matrix<const float> from{partial, extent.columns};
    return enqueue_sums<1>({parts, extent.columns}, 1, from, sums, Into::Sums, stream);
}

}  // namespace tandem::cuda
