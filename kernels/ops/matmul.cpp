#include "kernels/ops/matmul.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

namespace {

void check_product(const Check& check, const Operand& a, const Operand& b, const Tensor& c) {
    check.dims("a", a.x, 2);
    check.dims("b", b.x, 2);
    check.dims("c", c, 2);
    check.floating("a", a.x);
    check.type("b", b.x, a.x.dtype());
    check.that(a.columns() == b.rows(), "a is {}{} and b is {}{}: the inner extents {} and {} differ", a.x.str(),
               a.transpose == Transpose::Yes ? " transposed" : "", b.x.str(), b.transpose == Transpose::Yes ? " transposed" : "",
               a.columns(), b.rows());
    check.shape("c", c, Shape{a.rows(), b.columns()});
    check.that(c.dtype() == a.x.dtype() || c.dtype() == accumulation_type(a.x.dtype()), "c is {}, but {} or {} is needed", c.str(),
               name(a.x.dtype()), name(accumulation_type(a.x.dtype())));
    check.apart("a", a.x, "c", c);
    check.apart("b", b.x, "c", c);
}

}  // namespace

void matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    check_product(Check("matmul"), a, b, c);
    if (c.elements() == 0) return;
    if (a.columns() == 0) {  // an empty sum
        if (write == Write::Overwrite) ctx.backend.zero(ctx, c);
        return;
    }
    ctx.backend.matmul(ctx, a, b, c, alpha, write);
}

void matmul_bias(Context& ctx, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) {
    const Check check("matmul_bias");
    check_product(check, a, b, c);
    check.type("c", c, a.x.dtype());
    check.type("bias", bias, c.dtype());
    check.shape("bias", bias, Shape{c.extent(1)});
    check.contiguous("bias", bias);
    check.apart("bias", bias, "c", c);
    if (c.elements() == 0) return;
    if (a.columns() == 0) {  // an empty sum
        ctx.backend.zero(ctx, c);
        ctx.backend.bias_add(ctx, bias, c);
        return;
    }
    ctx.backend.matmul_bias(ctx, a, b, bias, c);
}

}  // namespace tandem::ops
