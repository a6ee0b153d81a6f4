#include "kernels/ops/embedding.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

namespace {

/// One int32 for every row of `rows`.
void check_indices(const Check& check, std::string_view name, const Tensor& index, const Tensor& rows) {
    check.type(name, index, DType::I32);
    check.shape(name, index, Shape{rows.extent(0)});
    check.contiguous(name, index);
}

}  // namespace

void embedding(Context& ctx, const Tensor& table, const Tensor& ids, const Tensor& y) {
    const Check check("embedding");
    check.dims("table", table, 2);
    check.floating("table", table);
    check.dims("y", y, 2);
    check.type("y", y, table.dtype());
    check.shape("y", y, Shape{y.extent(0), table.extent(1)});
    check_indices(check, "ids", ids, y);
    check.apart("table", table, "y", y);
    if (y.elements() == 0) return;
    ctx.backend.embedding(ctx, table, ids, y);
}

void embedding_backward(Context& ctx, const Tensor& dy, const Tensor& ids, const Tensor& dtable) {
    const Check check("embedding_backward");
    check.dims("dy", dy, 2);
    check.floating("dy", dy);
    check.dims("dtable", dtable, 2);
    check.accumulation("dtable", dtable, dy.dtype());
    check.shape("dtable", dtable, Shape{dtable.extent(0), dy.extent(1)});
    check_indices(check, "ids", ids, dy);
    check.apart("dtable", dtable, "dy", dy);
    if (dy.elements() == 0) return;
    ctx.backend.embedding_backward(ctx, dy, ids, dtable);
}

void gather_rows(Context& ctx, const Tensor& x, const Tensor& index, const Tensor& y) {
    const Check check("gather_rows");
    check.dims("x", x, 2);
    check.dims("y", y, 2);
    check.type("y", y, x.dtype());
    check.shape("y", y, Shape{y.extent(0), x.extent(1)});
    check_indices(check, "index", index, y);
    check.apart("x", x, "y", y);
    if (y.elements() == 0) return;
    ctx.backend.gather_rows(ctx, x, index, y);
}

void scatter_rows(Context& ctx, const Tensor& x, const Tensor& index, const Tensor& y) {
    const Check check("scatter_rows");
    check.dims("x", x, 2);
    check.dims("y", y, 2);
    check.type("y", y, x.dtype());
    check.shape("y", y, Shape{y.extent(0), x.extent(1)});
    check_indices(check, "index", index, x);
    check.apart("x", x, "y", y);
    if (x.elements() == 0) return;
    ctx.backend.scatter_rows(ctx, x, index, y);
}

}  // namespace tandem::ops
