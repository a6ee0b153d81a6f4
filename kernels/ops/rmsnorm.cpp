#include "kernels/ops/rmsnorm.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

void rmsnorm(Context& ctx, const RmsNorm& norm, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd) {
    const Check check("rmsnorm");
    check.dims("x", x, 2);
    check.floating("x", x);
    check.type("w", w, x.dtype());
    check.shape("w", w, Shape{x.extent(1)});
    check.contiguous("w", w);
    check.like("y", y, x);
    check.same_or_apart("x", x, "y", y);
    check.apart("w", w, "y", y);
    if (rstd) {
        check.accumulation("rstd", rstd, x.dtype());
        check.shape("rstd", rstd, Shape{x.extent(0)});
        check.contiguous("rstd", rstd);
        check.apart("rstd", rstd, "y", y);
        check.apart("rstd", rstd, "x", x);
    }
    if (x.elements() == 0) return;
    ctx.backend.rmsnorm(ctx, norm, x, w, y, rstd);
}

void rmsnorm_backward(Context& ctx, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& rstd,
                      const Tensor& dx, Write write, const Tensor& dw) {
    const Check check("rmsnorm_backward");
    check.dims("x", x, 2);
    check.floating("x", x);
    check.like("dy", dy, x);
    check.type("w", w, x.dtype());
    check.shape("w", w, Shape{x.extent(1)});
    check.contiguous("w", w);
    check.accumulation("rstd", rstd, x.dtype());
    check.shape("rstd", rstd, Shape{x.extent(0)});
    check.contiguous("rstd", rstd);
    check.like("dx", dx, x);
    check.apart("x", x, "dx", dx);
    check.apart("w", w, "dx", dx);
    if (write == Write::Overwrite) check.same_or_apart("dy", dy, "dx", dx);
    else check.apart("dy", dy, "dx", dx);
    if (dw) {
        check.accumulation("dw", dw, x.dtype());
        check.shape("dw", dw, Shape{x.extent(1)});
        check.contiguous("dw", dw);
        check.apart("dw", dw, "dx", dx);
        check.apart("dw", dw, "dy", dy);
        check.apart("dw", dw, "w", w);
    }
    if (x.elements() == 0) return;
    ctx.backend.rmsnorm_backward(ctx, norm, dy, x, w, rstd, dx, write, dw);
}

}  // namespace tandem::ops
