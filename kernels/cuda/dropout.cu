#include "kernels/cuda/dropout.cuh"

#include "kernels/base/philox.h"
#include "kernels/cuda/map.cuh"

namespace tandem::cuda {

namespace {

// y = keep ? x / (1 - p) : 0, keep = uniform01(philox_word(key; row id, column)) >= p
//
// Four elements share a counter, of some 60 integer instructions. Where a pack begins inside of a counter's four, each of its elements
// computes its own.
struct Masked : Dropout {
    template <int kCount, class T>
    __device__ void at(Place place, T* y, const T* x) const {
        const auto row = static_cast<std::uint64_t>(row_ids[place.row]);
        const auto column = static_cast<std::uint64_t>(first_column + place.column);
        auto values = load<kCount>(x);
        const auto mask = [&](int e, std::uint32_t word) {
            values.at[e] = narrow<T>((word >> 8U) >= threshold ? widen(values.at[e]) * scale : 0.0F);
        };
        if (kCount % 4 == 0 && column % 4 == 0) {
#pragma unroll
            for (int e = 0; e + 3 < kCount; e += 4) {
                const PhiloxWords words = philox_words(key, row, (column + static_cast<std::uint64_t>(e)) / 4);
                mask(e, words.x), mask(e + 1, words.y), mask(e + 2, words.z), mask(e + 3, words.w);
            }
        } else {
#pragma unroll
            for (int e = 0; e < kCount; ++e) mask(e, philox_word(key, row, column + static_cast<std::uint64_t>(e)));
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
