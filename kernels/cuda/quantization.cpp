#include "kernels/ops/quantization.h"

#include <algorithm>
#include <array>
#include <bit>

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/quantization.cuh"
#include "kernels/cuda/stream.h"
#include "kernels/quant/dynamic_map.h"
#include "kernels/quant/four_bit.h"

namespace tandem {

namespace {

cuda::FourBitTables tables_of(FourBit type) {
    cuda::FourBitTables tables{};
    std::ranges::copy(four_bit_values(type), tables.values);
    std::ranges::copy(dynamic_map(Signedness::Signed), tables.map);
    return tables;
}

cuda::FourBitBox box_of(const FourBitMatrix& w) {
    const BlockGrid& grid = w.grid;
    const bool nested = w.double_quantized();
    return {.codes = w.codes.data<std::uint8_t>(),
            .absmax = nested ? nullptr : w.absmax.data<float>(),
            .absmax_codes = nested ? w.absmax.data<std::uint8_t>() : nullptr,
            .nested = nested ? w.nested.data<float>() : nullptr,
            .offset = nested ? w.offset.data<float>() : nullptr,
            .first = grid.first,
            .stride = grid.stride,
            .lines = grid.lines(),
            .line_blocks = w.absmax.extent(1),
            .block_shift = std::countr_zero(static_cast<std::uint64_t>(grid.block_size))};
}

}  // namespace

void CudaBackend::dequantize(Context& ctx, const FourBitMatrix& w, const Tensor& y) {
    static const cuda::FourBitTables tables[] = {tables_of(FourBit::NF4), tables_of(FourBit::FP4)};
    cuda::Rows out = cuda::rows("dequantize", y);
    cuda::Extent extent = cuda::extent_of(y);
    if (w.grid.lines() == 1 && y.contiguous()) extent = {1, y.elements()};
    cuda::check(cuda::launch_dequantize(box_of(w), tables[w.type == FourBit::NF4 ? 0 : 1], extent, out, cuda::queue(ctx.stream)),
                "dequantize", {w.codes, w.absmax, y});
}

}  // namespace tandem
