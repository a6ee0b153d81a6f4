#include "kernels/cpu/matmul_widened.h"

#include "kernels/cpu/convert.h"

namespace tandem::cpu {

namespace {

// A block of b is widened once for every block of rows of a, and the other way round, so that both costs vanish against
// 2 kRows or 2 kColumns flops an element.
constexpr std::int64_t kRows = 512;
constexpr std::int64_t kColumns = 1024;
constexpr std::int64_t kInner = 1024;

/// Half-open range of rows or columns.
struct Range {
    std::int64_t first, last;
    [[nodiscard]] std::int64_t size() const { return last - first; }
};

/// The block of x^(T) as fp32, in the orientation of x.
Operand widen_block(Context& ctx, int threads, const Operand& x, Range rows, Range columns, Execution execution) {
    if (x.transpose == Transpose::Yes) std::swap(rows, columns);
    const Tensor block = x.x.rows(rows.first, rows.last).columns(columns.first, columns.last);
    const Tensor wide = ctx.workspace.allocate("widened matmul operand", DType::F32, {rows.size(), columns.size()});
    if (execution == Execution::Rehearse) return {wide, x.transpose};
    parallel_for(threads, rows.size(),
                 [&](std::int64_t i) { widen(block.dtype(), element(block, i, 0), element<float>(wide, i, 0), columns.size()); });
    return {wide, x.transpose};
}

/// One block of c, from all of the inner extent.
void block_product(Context& ctx, OneDnnMatmul& onednn, int threads, const Operand& a, const Operand& b, const Tensor& c, Range rows,
                   Range columns, double alpha, Write write, Execution execution) {
    const bool computes = execution == Execution::Compute;
    ArenaScope scope(ctx.workspace);
    const Tensor target = c.rows(rows.first, rows.last).columns(columns.first, columns.last);
    const bool direct = c.dtype() == DType::F32;
    const Tensor sum = direct ? target : ctx.workspace.allocate("widened matmul sum", DType::F32, target.shape());
    if (computes && !direct && write == Write::Accumulate) ctx.backend.cast(ctx, target, sum);
    for (std::int64_t k = 0; k < a.columns(); k += kInner) {
        const Range inner{k, std::min(a.columns(), k + kInner)};
        ArenaScope blocks(ctx.workspace);
        const Operand a_block = widen_block(ctx, threads, a, rows, inner, execution);
        const Operand b_block = widen_block(ctx, threads, b, inner, columns, execution);
        const Write block_write = k == 0 ? write : Write::Accumulate;
        if (computes) onednn.run(ctx, a_block, b_block, sum, alpha, block_write);
        else onednn.rehearse(ctx, a_block, b_block, sum, alpha, block_write);
    }
    if (computes && !direct) ctx.backend.cast(ctx, sum, target);
}

}  // namespace

void matmul_widened(Context& ctx, OneDnnMatmul& onednn, int threads, const Operand& a, const Operand& b, const Tensor& c, double alpha,
                    Write write, Execution execution) {
    for (std::int64_t j = 0; j < c.extent(1); j += kColumns) {
        for (std::int64_t i = 0; i < c.extent(0); i += kRows) {
            block_product(ctx, onednn, threads, a, b, c, {i, std::min(c.extent(0), i + kRows)}, {j, std::min(c.extent(1), j + kColumns)},
                          alpha, write, execution);
        }
    }
}

}  // namespace tandem::cpu
