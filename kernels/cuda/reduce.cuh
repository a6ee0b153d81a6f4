// Sums and maxima over the threads of a warp or block, in an order that does not change: the same bits every time.
#pragma once

#include "kernels/cuda/simt.cuh"

namespace tandem::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffU;
inline constexpr int kWarp = 32;

struct Sum {
    template <class T>
    __device__ T operator()(T a, T b) const {
        return a + b;
    }
};
struct Max {
    template <class T>
    __device__ T operator()(T a, T b) const {
        return a > b ? a : b;
    }
};

/// Over the warp's lanes; every lane has the result.
template <class T, class F>
__device__ T reduce_warp(T x, F combine) {
#pragma unroll
    for (int distance = kWarp / 2; distance > 0; distance /= 2) x = combine(x, __shfl_xor_sync(kAllLanes, x, distance));
    return x;
}

/// Over the block's kThreads threads, with `scratch` of kThreads / 32 elements in shared memory; every thread has the result. All threads
/// of the block call it. The caller's earlier reads of scratch may still be under way.
template <int kThreads, class T, class F>
__device__ T reduce_block(T x, F combine, T* scratch) {
    static_assert(kThreads % kWarp == 0 && kThreads <= 1024);
    constexpr int kWarps = kThreads / kWarp;
    x = reduce_warp(x, combine);
    if constexpr (kWarps == 1) return x;
    __syncthreads();
    if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = x;
    __syncthreads();
    T all = scratch[0];
#pragma unroll
    for (int warp = 1; warp < kWarps; ++warp) all = combine(all, scratch[warp]);
    return all;
}

}  // namespace tandem::cuda
