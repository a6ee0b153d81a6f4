#include "kernels/cuda/dropout.cuh"

#include "kernels/base/philox.h"
#include "kernels/cuda/map.cuh"

namespace tandem::cuda {

namespace {

// y = keep ? x / (1 - p) : 0, keep = uniform01(philox(key; row id, column).x) >= p
//
// A counter an element, of which one word is used: the mask's definition, which other backends share. That costs some 60 integer
// instructions an element, so that 16-bit types are bound by arithmetic, not by memory.
struct Masked : Dropout {
    template <int kCount, class T>
    __device__ void at(Place place, T* y, const T* x) const {
        const auto row = static_cast<std::uint64_t>(row_ids[place.row]);
        const auto column = static_cast<std::uint64_t>(first_column + place.column);
        auto values = load<kCount>(x);
#pragma unroll
        for (int e = 0; e < kCount; ++e) {
            const std::uint32_t word = philox_words(key, row, column + static_cast<std::uint64_t>(e)).x;
            values.at[e] = narrow<T>((word >> 8U) >= threshold ? widen(values.at[e]) * scale : 0.0F);
        }
        store(y, values);
    }
};

}  // namespace

Status launch_dropout(Extent extent, const Dropout& dropout, const Rows& x, const Rows& y, StreamHandle stream) {
    return with_element(
        y.type, [&]<class T>(Tag<T>) { return launch_map("dropout", stream, extent, Masked{dropout}, matrix<T>(y), matrix<const T>(x)); });
}

}  // namespace tandem::cuda
