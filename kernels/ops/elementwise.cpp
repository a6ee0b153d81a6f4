#include "kernels/ops/elementwise.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

void zero(Context& ctx, const Tensor& x) {
    Check("zero").that(static_cast<bool>(x), "x is absent");
    if (x.elements() == 0) return;
    ctx.backend.zero(ctx, x);
}

void cast(Context& ctx, const Tensor& x, const Tensor& y) {
    const Check check("cast");
    check.that(static_cast<bool>(x), "x is absent");
    check.shape("y", y, x.shape());
    check.that(x.dtype() == y.dtype() || (is_float(x.dtype()) && is_float(y.dtype())), "x is {} and y {}: no conversion between these",
               x.str(), y.str());
    check.same_or_apart("x", x, "y", y);
    if (x.elements() == 0) return;
    ctx.backend.cast(ctx, x, y);
}

void add(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& y) {
    const Check check("add");
    check.floating("a", a);
    check.like("b", b, a);
    check.like("y", y, a);
    check.same_or_apart("a", a, "y", y);
    check.same_or_apart("b", b, "y", y);
    if (y.elements() == 0) return;
    ctx.backend.add(ctx, a, b, y);
}

void axpy(Context& ctx, double alpha, const Tensor& x, const Tensor& y) {
    const Check check("axpy");
    check.floating("x", x);
    check.floating("y", y);
    check.shape("y", y, x.shape());
    check.same_or_apart("x", x, "y", y);
    if (y.elements() == 0) return;
    ctx.backend.axpy(ctx, alpha, x, y);
}

void dropout(Context& ctx, const DropoutMask& mask, const Tensor& row_ids, const Tensor& x, const Tensor& y) {
    const Check check("dropout");
    check.that(mask.probability >= 0.0 && mask.probability < 1.0, "probability {} is not in [0, 1)", mask.probability);
    check.that(mask.first_column >= 0, "first_column {} is negative", mask.first_column);
    check.floating("x", x);
    check.dims("x", x, 2);
    check.like("y", y, x);
    check.type("row_ids", row_ids, DType::I64);
    check.shape("row_ids", row_ids, Shape{x.extent(0)});
    check.contiguous("row_ids", row_ids);
    check.same_or_apart("x", x, "y", y);
    if (y.elements() == 0) return;
    ctx.backend.dropout(ctx, mask, row_ids, x, y);
}

}  // namespace tandem::ops
