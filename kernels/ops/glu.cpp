#include "kernels/ops/glu.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

void glu(Context& ctx, Activation activation, const Tensor& gate, const Tensor& up, const Tensor& y) {
    const Check check("glu");
    check.dims("gate", gate, 2);
    check.floating("gate", gate);
    check.like("up", up, gate);
    check.like("y", y, gate);
    check.same_or_apart("gate", gate, "y", y);
    check.same_or_apart("up", up, "y", y);
    if (y.elements() == 0) return;
    ctx.backend.glu(ctx, activation, gate, up, y);
}

void glu_backward(Context& ctx, Activation activation, const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate,
                  const Tensor& dup) {
    const Check check("glu_backward");
    check.dims("gate", gate, 2);
    check.floating("gate", gate);
    check.like("up", up, gate);
    check.like("dy", dy, gate);
    check.like("dgate", dgate, gate);
    check.like("dup", dup, gate);
    check.same_or_apart("gate", gate, "dgate", dgate);
    check.same_or_apart("up", up, "dup", dup);
    check.apart("up", up, "dgate", dgate);
    check.apart("gate", gate, "dup", dup);
    check.apart("dgate", dgate, "dup", dup);
    check.same_or_apart("dy", dy, "dgate", dgate);
    check.apart("dy", dy, "dup", dup);
    if (dy.elements() == 0) return;
    ctx.backend.glu_backward(ctx, activation, dy, gate, up, dgate, dup);
}

}  // namespace tandem::ops
