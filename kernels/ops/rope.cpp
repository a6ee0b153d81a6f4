#include "kernels/ops/rope.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

void rope(Context& ctx, Rotation rotation, const Tensor& cos, const Tensor& sin, const Tensor& positions, const Tensor& x) {
    const Check check("rope");
    check.dims("x", x, 3);
    check.floating("x", x);
    check.dims("cos", cos, 2);
    check.accumulation("cos", cos, x.dtype());
    check.contiguous("cos", cos);
    check.like("sin", sin, cos);
    check.contiguous("sin", sin);
    check.that(2 * cos.extent(1) <= x.extent(2), "cos is {}: it rotates {} elements, but a head of x {} has {}", cos.str(),
               2 * cos.extent(1), x.str(), x.extent(2));
    check.type("positions", positions, DType::I32);
    check.shape("positions", positions, Shape{x.extent(0)});
    check.contiguous("positions", positions);
    check.apart("cos", cos, "x", x);
    check.apart("sin", sin, "x", x);
    if (x.elements() == 0 || cos.extent(1) == 0) return;
    ctx.backend.rope(ctx, rotation, cos, sin, positions, x);
}

}  // namespace tandem::ops
