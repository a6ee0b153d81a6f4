#include "kernels/cuda/elementwise.cuh"

#include <algorithm>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kElements = 8;  ///< a thread's share: 16 bytes of a 16-bit type

struct Cast {
    __device__ float operator()(float /*old*/, float x) const { return x; }
};
struct Add {
    __device__ float operator()(float /*old*/, float a, float b) const { return a + b; }
};
struct Axpy {
    float alpha;
    __device__ float operator()(float old, float x) const { return fmaf(alpha, x, old); }
};

/// Whether f reads what is in y.
template <class F>
constexpr bool kReadsOutput = false;
template <>
constexpr bool kReadsOutput<Axpy> = true;

/// y[i, j .. j + kCount) = f(y, x...) for one thread's elements.
template <int kCount, class F, class Y, class... X>
__device__ void apply(F f, Y* y, const X*... x) {
    Pack<Y, kCount> out;
    if constexpr (kReadsOutput<F>) out = load<kCount>(y);
    const auto combine = [&](const auto&... in) {
#pragma unroll
        for (int e = 0; e < kCount; ++e) {
            const float old = kReadsOutput<F> ? widen(out.at[e]) : 0.0F;
            out.at[e] = narrow<Y>(f(old, widen(in.at[e])...));
        }
    };
    combine(load<kCount>(x)...);
    store(y, out);
}

/// Bytes: each operand once. Every element is read and written by one thread, so y may be an x.
template <int kCount, class F, class Y, class... X>
__global__ void __launch_bounds__(kThreads) map(Extent extent, F f, Matrix<Y> y, Matrix<const X>... x) {
    const std::int64_t step = std::int64_t{gridDim.x} * kThreads * kCount;
    for (std::int64_t i = blockIdx.y; i < extent.rows; i += gridDim.y) {
        for (std::int64_t j = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kCount; j < extent.columns; j += step) {
            if (j + kCount <= extent.columns) {
                apply<kCount>(f, y.data + i * y.stride + j, x.data + i * x.stride + j...);
            } else {
                for (std::int64_t e = j; e < extent.columns; ++e) apply<1>(f, y.data + i * y.stride + e, x.data + i * x.stride + e...);
            }
        }
    }
}

template <int kCount, class F, class Y, class... X>
Status enqueue_map(StreamHandle stream, Extent extent, F f, Matrix<Y> y, Matrix<const X>... x) {
    constexpr std::int64_t share = std::int64_t{kThreads} * kCount;
    const auto across = std::min<std::int64_t>((extent.columns + share - 1) / share, std::int64_t{1} << 20U);
    const auto down = std::min<std::int64_t>(extent.rows, 65535);
    const Grid grid{static_cast<unsigned>(across), static_cast<unsigned>(down)};
    return cuda::launch({"elementwise", grid, kThreads}, stream, map<kCount, F, Y, X...>, extent, f, y, x...);
}

template <class F, class Y, class... X>
Status launch_map(StreamHandle stream, Extent extent, F f, Matrix<Y> y, Matrix<const X>... x) {
    if (aligned(extent, y) && (aligned(extent, x) && ...)) return enqueue_map<kElements>(stream, extent, f, y, x...);
    return enqueue_map<1>(stream, extent, f, y, x...);
}

}  // namespace

Status launch_cast(Extent extent, const Rows& x, const Rows& y, StreamHandle stream) {
    return with_element(x.type, [&]<class X>(Tag<X>) {
        return with_element(y.type, [&]<class Y>(Tag<Y>) { return launch_map(stream, extent, Cast{}, matrix<Y>(y), matrix<const X>(x)); });
    });
}

Status launch_add(Extent extent, const Rows& a, const Rows& b, const Rows& y, StreamHandle stream) {
    return with_element(
        y.type, [&]<class T>(Tag<T>) { return launch_map(stream, extent, Add{}, matrix<T>(y), matrix<const T>(a), matrix<const T>(b)); });
}

Status launch_axpy(Extent extent, float alpha, const Rows& x, const Rows& y, StreamHandle stream) {
    return with_element(x.type, [&]<class X>(Tag<X>) {
        return with_element(y.type,
                            [&]<class Y>(Tag<Y>) { return launch_map(stream, extent, Axpy{alpha}, matrix<Y>(y), matrix<const X>(x)); });
    });
}

}  // namespace tandem::cuda
