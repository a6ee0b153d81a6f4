// Elements on the device: several at a time, and by the type that the host names.
#pragma once

#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/simt.cuh"

namespace tandem::cuda {

/// Consecutive elements that one thread reads or writes, in accesses of 16 bytes.
template <class T, int kCount>
struct alignas(kCount == 1 ? sizeof(T) : (kCount * sizeof(T) < 16 ? kCount * sizeof(T) : 16)) Pack {
    T at[kCount];
};

template <int kCount, class T>
__device__ Pack<T, kCount> load(const T* x) {
    return *reinterpret_cast<const Pack<T, kCount>*>(x);
}
template <int kCount, class T>
__device__ void store(T* x, const Pack<T, kCount>& pack) {
    *reinterpret_cast<Pack<T, kCount>*>(x) = pack;
}

template <class T>
struct Tag {
    using type = T;
};

/// Calls f(Tag<T>{}) with the device's type of `element`.
template <class F>
auto with_element(Element element, F&& f) {
    switch (element) {
        case Element::BF16: return f(Tag<bf16>{});
        case Element::F16: return f(Tag<fp16>{});
        default: return f(Tag<float>{});
    }
}

template <class T>
struct Matrix {
    T* data;
    std::int64_t stride;  ///< elements from row to row
};

template <class T>
Matrix<T> matrix(const Rows& x) {
    return {static_cast<T*>(x.data), x.stride};
}

/// Whether every row begins at a multiple of 16 bytes.
template <class T>
bool aligned(Extent extent, const Matrix<T>& x) {
    const auto base = reinterpret_cast<std::uintptr_t>(x.data);
    const auto row = static_cast<std::uint64_t>(x.stride) * sizeof(T);
    return base % 16 == 0 && (extent.rows == 1 || row % 16 == 0);
}

}  // namespace tandem::cuda
