#include "src/model/head.h"

#include <algorithm>

#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rmsnorm.h"

namespace tandem {
namespace {

/// The cross-entropy of logits of which every rank has some columns.
void split_cross_entropy(Context& ctx, const TensorGroup& group, const Tensor& z, const Tensor& targets, const Tensor& loss_sum,
                         const Tensor& dz) {
    ArenaScope scope(ctx.workspace);
    const std::int64_t n = z.extent(0);
    const Tensor own = ctx.workspace.allocate("softmax statistics", z.dtype(), {n, 3});
    const Tensor all = ctx.workspace.allocate("all softmax statistics", z.dtype(), {group.size() * n, 3});
    ops::cross_entropy_statistics(ctx, z, targets, own);
    group.gather(ctx, own, all);
    ops::cross_entropy_from_statistics(ctx, z, targets, all.reshape({group.size(), n, 3}), loss_sum, dz);
}

}  // namespace

void Head::chunk(Context& ctx, const TensorGroup& group, const Tensor& h, const Tensor& targets, const Tensor& loss_sum,
                 const Tensor& dh) const {
    ArenaScope scope(ctx.workspace);
    const Tensor w = rows();
    const Shape shape{h.extent(0), w.extent(0)};
    const Tensor z = ctx.workspace.allocate("logits", accumulation_type(h.dtype()), shape);
    ops::matmul(ctx, {h}, transposed(w), z);  // z = h W^T
    const Tensor dz = !dh ? Tensor() : z.dtype() == h.dtype() ? z : ctx.workspace.allocate("dlogits", h.dtype(), shape);
    if (group.split()) split_cross_entropy(ctx, group, z, targets, loss_sum, dz);
    else ops::cross_entropy(ctx, z, targets, loss_sum, dz);
    if (!dh) return;
    ops::matmul(ctx, {dz}, {w}, dh);  // dh = dz W
    if (!weight->trainable) return;
    ops::matmul(ctx, transposed(dz), {h}, weight->gradient.rows(0, w.extent(0)), 1.0, Write::Accumulate);  // dW += dz^T h
}

void Head::loss(Context& ctx, const ModelConfig& m, const DeviceBatch& batch, const Tensor& x, const Tensor& loss_sum,
                const Tensor& dx) const {
    ArenaScope scope(ctx.workspace);
    const TensorGroup& group = batch.view.group;
    const std::int64_t count = batch.trained.extent(0);
    const DType t = x.dtype();
    Tensor all = x, dx_all = dx;
    if (group.split()) {
        all = ctx.workspace.allocate("gathered rows", t, {batch.view.tokens(), m.hidden});
        group.gather(ctx, x, all);
        if (dx) dx_all = ctx.workspace.allocate("dx before its sum", t, all.shape());
    }
    const Tensor selected = ctx.workspace.allocate("trained rows", t, {count, m.hidden});
    ops::gather_rows(ctx, all, batch.trained, selected);
    const Tensor h = ctx.workspace.allocate("final norm", t, {count, m.hidden});
    const Tensor rstd = ctx.workspace.allocate("final rstd", accumulation_type(t), {count});
    ops::rmsnorm(ctx, m.norm, selected, norm->weight, h, rstd);
    const Tensor dh = dx ? ctx.workspace.allocate("dh", t, {count, m.hidden}) : Tensor();
    // Of the storage: the parts of the vocabulary may differ by their padding, the chunks must not.
    const auto row_bytes = weight->storage[0] * static_cast<std::int64_t>(size_of(accumulation_type(t)));
    const std::int64_t rows = chunk_rows(row_bytes);
    for (std::int64_t first = 0; first < count; first += rows) {
        const std::int64_t last = std::min(count, first + rows);
        chunk(ctx, group, h.rows(first, last), batch.targets.rows(first, last), loss_sum, dx ? dh.rows(first, last) : Tensor());
    }
    if (!dx) return;
    // The norm's backward is linear in dh: it may come before the sum over the parts of the vocabulary.
    ops::rmsnorm_backward(ctx, m.norm, dh, selected, norm->weight, rstd, dh, Write::Overwrite, norm->trainable ? norm->gradient : Tensor());
    ops::zero(ctx, dx_all);
    ops::scatter_rows(ctx, dh, batch.trained, dx_all);
    if (group.split()) group.sum_scatter(ctx, dx_all, dx);
}

void Head::logits(Context& ctx, const ModelConfig& m, const Tensor& x, const Tensor& logits) const {
    ArenaScope scope(ctx.workspace);
    const Tensor h = ctx.workspace.allocate("final norm", x.dtype(), x.shape());
    ops::rmsnorm(ctx, m.norm, x, norm->weight, h, Tensor());
    ops::matmul(ctx, {h}, transposed(weight->weight), logits);
}

}  // namespace tandem
