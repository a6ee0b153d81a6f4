#include "kernels/cuda/quantization.cuh"

#include <algorithm>
#include <type_traits>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kElements = 8;  ///< of an access: four bytes of codes, 16 of a 16-bit type
constexpr int kPacks = 4;     ///< that a thread reads before it writes the first
constexpr int kNestedShift = 8;

struct Values {
    float at[16];
};

/// absmax[line, block - first block of the line], or map[...] nested[block / 256] + offset in two roundings.
__device__ float scale_of(const FourBitBox& box, const FourBitTables& tables, std::int64_t row, std::int64_t column) {
    const std::int64_t line = box.lines == 1 ? 0 : row;
    const std::int64_t block = (box.first + row * box.stride + column) >> box.block_shift;
    const std::int64_t at = line * box.line_blocks + block - ((box.first + line * box.stride) >> box.block_shift);
    if (box.absmax != nullptr) return box.absmax[at];
    return __fadd_rn(__fmul_rn(tables.map[box.absmax_codes[at]], box.nested[block >> kNestedShift]), *box.offset);
}

/// Codes of kCount elements from `element` of the box on, the first in the highest of 4 kCount bits.
template <int kCount>
__device__ std::uint32_t codes_of(const std::uint8_t* codes, std::int64_t element) {
    if constexpr (kCount == 1) return element % 2 == 0 ? codes[element / 2] >> 4U : codes[element / 2] & 15U;
    const auto bytes = load<4>(codes + element / 2);
    return std::uint32_t{bytes.at[0]} << 24U | std::uint32_t{bytes.at[1]} << 16U | std::uint32_t{bytes.at[2]} << 8U | bytes.at[3];
}

/// y = value[code] scale in fp32, rounded once. kCount elements are of one row and one block. Bytes: codes, scales and y once.
template <int kCount, class T>
__global__ void __launch_bounds__(kThreads)
    dequantize(FourBitBox box, const __grid_constant__ FourBitTables tables, Extent extent, Matrix<T> y) {
    using Index = std::conditional_t<kCount == 1, std::uint64_t, std::uint32_t>;  // of a pack; a division of 64 bits is slow
    auto& values = shared<Values>();
    if (threadIdx.x < 16) values.at[threadIdx.x] = tables.values[threadIdx.x];
    __syncthreads();
    const auto row_packs = static_cast<Index>(extent.columns / kCount);
    const auto packs = static_cast<std::int64_t>(row_packs) * extent.rows;
    const std::int64_t step = std::int64_t{gridDim.x} * kThreads * kPacks;
    for (std::int64_t first = std::int64_t{blockIdx.x} * kThreads * kPacks + threadIdx.x; first < packs; first += step) {
        std::uint32_t codes[kPacks];
        float scales[kPacks];
        T* out[kPacks];
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
            const std::int64_t pack = min(first + p * kThreads, packs - 1);  // no branches between the reads
            const Index row = static_cast<Index>(pack) / row_packs;
            const std::int64_t column = std::int64_t{kCount} * static_cast<std::int64_t>(static_cast<Index>(pack) - row * row_packs);
            codes[p] = codes_of<kCount>(box.codes, pack * kCount);
            scales[p] = scale_of(box, tables, static_cast<std::int64_t>(row), column);
            out[p] = y.data + static_cast<std::int64_t>(row) * y.stride + column;
        }
#pragma unroll
        for (int p = 0; p < kPacks; ++p) {
            if (first + p * kThreads >= packs) continue;
            Pack<T, kCount> result;
#pragma unroll
            for (int e = 0; e < kCount; ++e)
                result.at[e] = narrow<T>(__fmul_rn(values.at[codes[p] >> (4U * static_cast<unsigned>(kCount - 1 - e)) & 15U], scales[p]));
            store(out[p], result);
        }
    }
}

/// Whether every kElements elements of a row are in one block, in aligned bytes, and fewer packs than 32 bits count.
bool in_packs(const FourBitBox& box, Extent extent) {
    const bool whole = extent.columns % kElements == 0 && box.first % kElements == 0 && (extent.rows == 1 || box.stride % kElements == 0);
    return whole && (1 << box.block_shift) >= kElements && reinterpret_cast<std::uintptr_t>(box.codes) % 4 == 0 &&
           extent.rows * extent.columns / kElements < (std::int64_t{1} << 32U);
}

template <int kCount, class T>
Status enqueue(const FourBitBox& box, const FourBitTables& tables, Extent extent, Matrix<T> y, StreamHandle stream) {
    constexpr std::int64_t kShare = std::int64_t{kThreads} * kPacks * kCount;
    const auto blocks = std::min<std::int64_t>((extent.rows * extent.columns + kShare - 1) / kShare, std::int64_t{1} << 20U);
    const Launch how{"dequantize", {static_cast<unsigned>(blocks)}, kThreads, sizeof(Values)};
    return cuda::launch(how, stream, dequantize<kCount, T>, box, tables, extent, y);
}

}  // namespace

Status launch_dequantize(const FourBitBox& box, const FourBitTables& tables, Extent extent, const Rows& y, StreamHandle stream) {
    return with_element(y.type, [&]<class T>(Tag<T>) {
        const auto out = matrix<T>(y);
        if (in_packs(box, extent) && aligned(extent, out)) return enqueue<kElements>(box, tables, extent, out, stream);
        return enqueue<1>(box, tables, extent, out, stream);
    });
}

}  // namespace tandem::cuda
