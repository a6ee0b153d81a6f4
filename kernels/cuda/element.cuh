// Elements on the device: their types, conversion to and from fp32, and several at a time.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline float widen(__half x) { return __half2float(x); }

template <class T>
__device__ T narrow(float x);
template <>
__device__ inline float narrow<float>(float x) {
    return x;
}
template <>
__device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float x) {
    return __float2bfloat16_rn(x);
}
template <>
__device__ inline __half narrow<__half>(float x) {
    return __float2half_rn(x);
}

/// Consecutive elements that one thread reads or writes, in accesses of 16 bytes.
template <class T, int kCount>
struct alignas(kCount == 1 ? sizeof(T) : 16) Pack {
    T at[kCount];
};

template <class T>
struct Tag {
    using type = T;
};

/// Calls f(Tag<T>{}) with the device's type of `element`.
template <class F>
auto with_element(Element element, F&& f) {
    switch (element) {
        case Element::BF16: return f(Tag<__nv_bfloat16>{});
        case Element::F16: return f(Tag<__half>{});
        default: return f(Tag<float>{});
    }
}

}  // namespace tandem::cuda
