#include "kernels/ops/bias.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

void bias_add(Context& ctx, const Tensor& bias, const Tensor& y) {
    const Check check("bias_add");
    check.dims("y", y, 2);
    check.floating("y", y);
    check.type("bias", bias, y.dtype());
    check.shape("bias", bias, Shape{y.extent(1)});
    check.contiguous("bias", bias);
    check.apart("bias", bias, "y", y);
    if (y.elements() == 0) return;
    ctx.backend.bias_add(ctx, bias, y);
}

void bias_backward(Context& ctx, const Tensor& dy, const Tensor& dbias) {
    const Check check("bias_backward");
    check.dims("dy", dy, 2);
    check.floating("dy", dy);
    check.accumulation("dbias", dbias, dy.dtype());
    check.shape("dbias", dbias, Shape{dy.extent(1)});
    check.contiguous("dbias", dbias);
    check.apart("dbias", dbias, "dy", dy);
    if (dy.elements() == 0) return;
    ctx.backend.bias_backward(ctx, dy, dbias);
}

}  // namespace tandem::ops
