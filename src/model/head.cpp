#include "src/model/head.h"

#include <algorithm>

#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rmsnorm.h"

namespace tandem {

void Head::chunk(Context& ctx, const Tensor& h, const Tensor& targets, const Tensor& loss_sum, const Tensor& dh) const {
    ArenaScope scope(ctx.workspace);
    const Shape shape{h.extent(0), weight->global[0]};
    const Tensor z = ctx.workspace.allocate("logits", accumulation_type(h.dtype()), shape);
    ops::matmul(ctx, {h}, transposed(weight->weight), z);  // z = h W^T
    if (!dh) {
        ops::cross_entropy(ctx, z, targets, loss_sum, Tensor());
        return;
    }
    const Tensor dz = z.dtype() == h.dtype() ? z : ctx.workspace.allocate("dlogits", h.dtype(), shape);
    ops::cross_entropy(ctx, z, targets, loss_sum, dz);
    ops::matmul(ctx, {dz}, {weight->weight}, dh);                                                            // dh = dz W
    if (weight->trainable) ops::matmul(ctx, transposed(dz), {h}, weight->gradient, 1.0, Write::Accumulate);  // dW += dz^T h
}

void Head::loss(Context& ctx, const ModelConfig& m, const Tensor& x, const Tensor& trained, const Tensor& targets, const Tensor& loss_sum,
                const Tensor& dx) const {
    ArenaScope scope(ctx.workspace);
    const std::int64_t count = trained.extent(0);
    const DType t = x.dtype();
    const Tensor selected = ctx.workspace.allocate("trained rows", t, {count, m.hidden});
    ops::gather_rows(ctx, x, trained, selected);
    const Tensor h = ctx.workspace.allocate("final norm", t, {count, m.hidden});
    const Tensor rstd = ctx.workspace.allocate("final rstd", accumulation_type(t), {count});
    ops::rmsnorm(ctx, m.norm, selected, norm->weight, h, rstd);
    const Tensor dh = dx ? ctx.workspace.allocate("dh", t, {count, m.hidden}) : Tensor();
    const auto row_bytes = m.vocabulary * static_cast<std::int64_t>(size_of(accumulation_type(t)));
    const std::int64_t rows = std::max<std::int64_t>(1, kChunkBytes / row_bytes);
    for (std::int64_t first = 0; first < count; first += rows) {
        const std::int64_t last = std::min(count, first + rows);
        chunk(ctx, h.rows(first, last), targets.rows(first, last), loss_sum, dx ? dh.rows(first, last) : Tensor());
    }
    if (!dx) return;
    ops::rmsnorm_backward(ctx, m.norm, dh, selected, norm->weight, rstd, dh, Write::Overwrite, norm->trainable ? norm->gradient : Tensor());
    ops::zero(ctx, dx);
    ops::scatter_rows(ctx, dh, trained, dx);
}

void Head::logits(Context& ctx, const ModelConfig& m, const Tensor& x, const Tensor& logits) const {
    ArenaScope scope(ctx.workspace);
    const Tensor h = ctx.workspace.allocate("final norm", x.dtype(), x.shape());
    ops::rmsnorm(ctx, m.norm, x, norm->weight, h, Tensor());
    ops::matmul(ctx, {h}, transposed(weight->weight), logits);
}

}  // namespace tandem
