#include "src/model/linear.h"

#include "kernels/ops/bias.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"

namespace tandem {

void Linear::forward(Context& ctx, const Tensor& x, const Tensor& row_ids, const Tensor& u, const Tensor& y) const {
    ops::matmul(ctx, {x}, transposed(weight->weight), y);  // y = x W^T
    if (bias) ops::bias_add(ctx, bias->weight, y);         // y += b
    if (!a) return;
    ArenaScope scope(ctx.workspace);
    Tensor dropped = x;
    if (dropout.probability > 0 && row_ids) {
        dropped = ctx.workspace.allocate("lora dropout", x.dtype(), x.shape());
        ops::dropout(ctx, dropout, row_ids, x, dropped);
    }
    ops::matmul(ctx, {dropped}, transposed(a->weight), u);                      // u = x A^T
    ops::matmul(ctx, {u}, transposed(b->weight), y, scale, Write::Accumulate);  // y += s u B^T
}

void Linear::backward(Context& ctx, const Tensor& dy, const Tensor& x, const Tensor& row_ids, const Tensor& u, const Tensor& dx,
                      Write write) const {
    if (dx) ops::matmul(ctx, {dy}, {weight->weight}, dx, 1.0, write);                                        // dx = dy W
    if (weight->trainable) ops::matmul(ctx, transposed(dy), {x}, weight->gradient, 1.0, Write::Accumulate);  // dW += dy^T x
    if (bias && bias->trainable) ops::bias_backward(ctx, dy, bias->gradient);                                // db += sum dy
    if (a) backward_lora(ctx, dy, x, row_ids, u, dx);
}

void Linear::backward_lora(Context& ctx, const Tensor& dy, const Tensor& x, const Tensor& row_ids, const Tensor& u,
                           const Tensor& dx) const {
    ArenaScope scope(ctx.workspace);
    const bool drops = dropout.probability > 0 && row_ids;
    Tensor dropped = x;
    if (drops) {
        dropped = ctx.workspace.allocate("lora dropout", x.dtype(), x.shape());
        ops::dropout(ctx, dropout, row_ids, x, dropped);
    }
    const Tensor t = ctx.workspace.allocate("lora t", dy.dtype(), {dy.extent(0), rank()});
    ops::matmul(ctx, {dy}, {b->weight}, t);                                             // t = dy B
    ops::matmul(ctx, transposed(t), {dropped}, a->gradient, scale, Write::Accumulate);  // dA += s t^T x
    ops::matmul(ctx, transposed(dy), {u}, b->gradient, scale, Write::Accumulate);       // dB += s dy^T u
    if (!dx) return;
    if (!drops) {
        ops::matmul(ctx, {t}, {a->weight}, dx, scale, Write::Accumulate);  // dx += s t A
        return;
    }
    ops::matmul(ctx, {t}, {a->weight}, dropped, scale);  // the same through the mask
    ops::dropout(ctx, dropout, row_ids, dropped, dropped);
    ops::add(ctx, dx, dropped, dx);
}

}  // namespace tandem
