#include "kernels/cuda/elementwise.cuh"

#include "kernels/cuda/map.cuh"

namespace tandem::cuda {

namespace {

struct Cast {
    template <int kCount, class Y, class X>
    __device__ void at(Place, Y* y, const X* x) const {
        transform<kCount>([](float value) { return value; }, y, load<kCount>(x));
    }
};

struct Add {
    template <int kCount, class T>
    __device__ void at(Place, T* y, const T* a, const T* b) const {
        transform<kCount>([](float left, float right) { return left + right; }, y, load<kCount>(a), load<kCount>(b));
    }
};

struct Axpy {
    float alpha;
    template <int kCount, class Y, class X>
    __device__ void at(Place, Y* y, const X* x) const {
        transform<kCount>([this](float old, float value) { return fmaf(alpha, value, old); }, y, load<kCount>(y), load<kCount>(x));
    }
};

}  // namespace

Status launch_cast(Extent extent, const Rows& x, const Rows& y, StreamHandle stream) {
    return with_element(x.type, [&]<class X>(Tag<X>) {
        return with_element(y.type,
                            [&]<class Y>(Tag<Y>) { return launch_map("cast", stream, extent, Cast{}, matrix<Y>(y), matrix<const X>(x)); });
    });
}

Status launch_add(Extent extent, const Rows& a, const Rows& b, const Rows& y, StreamHandle stream) {
    return with_element(y.type, [&]<class T>(Tag<T>) {
        return launch_map("add", stream, extent, Add{}, matrix<T>(y), matrix<const T>(a), matrix<const T>(b));
    });
}

Status launch_axpy(Extent extent, float alpha, const Rows& x, const Rows& y, StreamHandle stream) {
    return with_element(x.type, [&]<class X>(Tag<X>) {
        return with_element(
            y.type, [&]<class Y>(Tag<Y>) { return launch_map("axpy", stream, extent, Axpy{alpha}, matrix<Y>(y), matrix<const X>(x)); });
    });
}

}  // namespace tandem::cuda
