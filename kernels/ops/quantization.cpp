#include "kernels/ops/quantization.h"

#include <bit>

#include "kernels/ops/check.h"

namespace tandem::ops {

namespace {

void check_grid(const Check& check, const BlockGrid& grid) {
    check.that(grid.block_size >= 2 && std::has_single_bit(static_cast<std::uint64_t>(grid.block_size)),
               "blocks have {} elements, but a power of two is needed", grid.block_size);
    check.that(grid.rows >= 0 && grid.columns >= 0 && grid.first >= 0 && grid.stride >= 1, "box of {} x {} elements at {} in rows of {}",
               grid.rows, grid.columns, grid.first, grid.stride);
    check.that(grid.first % grid.stride + grid.columns <= grid.stride && grid.first / grid.stride + grid.rows <= grid.whole_rows,
               "the box of {} x {} elements at {} leaves the matrix of {} x {}", grid.rows, grid.columns, grid.first, grid.whole_rows,
               grid.stride);
}

}  // namespace

void dequantize(Context& ctx, const FourBitMatrix& w, const Tensor& y) {
    const Check check("dequantize");
    const BlockGrid& grid = w.grid;
    check_grid(check, grid);
    check.floating("y", y);
    check.shape("y", y, Shape{grid.rows, grid.columns});
    if (grid.elements() == 0) return;
    check.type("codes", w.codes, DType::U8);
    check.shape("codes", w.codes, Shape{grid.code_bytes()});
    check.shape("absmax", w.absmax, Shape{grid.lines(), grid.line_blocks()});
    check.contiguous("absmax", w.absmax);
    if (w.double_quantized()) {
        check.type("nested", w.nested, DType::F32);
        check.shape("nested", w.nested, Shape{grid.whole_groups()});
        check.type("offset", w.offset, DType::F32);
        check.shape("offset", w.offset, Shape{1});
    } else {
        check.type("absmax", w.absmax, DType::F32);
    }
    check.apart("y", y, "codes", w.codes);
    check.apart("y", y, "absmax", w.absmax);
    check.apart("y", y, "nested", w.nested);
    check.apart("y", y, "offset", w.offset);
    ctx.backend.dequantize(ctx, w, y);
}

}  // namespace tandem::ops
