#include "src/model/linear.h"

#include <numeric>

#include "kernels/ops/bias.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "src/model/quantized_weight.h"

namespace tandem {
namespace {

/// A wide matrix and the narrow low-rank ones beside it, as columns of one tensor: they travel in one message.
struct Wide {
    Wide(Context& ctx, std::string_view name, DType dtype, std::int64_t rows, std::int64_t width, std::int64_t low)
        : all(ctx.workspace.allocate(name, dtype, {rows, width + low})), width_(width) {}
    Tensor all;
    [[nodiscard]] Tensor wide() const { return all.columns(0, width_); }
    [[nodiscard]] Tensor low(std::int64_t first, std::int64_t count) const { return all.columns(width_ + first, width_ + first + count); }

private:
    std::int64_t width_;
};

enum class Bias : std::uint8_t { Skip, Add };

/// y = x W^T (+ b).
void multiply(Context& ctx, const Tensor& x, const Linear& layer, const Tensor& y, Bias bias) {
    ArenaScope scope(ctx.workspace);
    const Operand weight = transposed(dense(ctx, *layer.weight, x.dtype()));
    if (bias == Bias::Add && layer.bias) ops::matmul_bias(ctx, {x}, weight, layer.bias->weight, y);
    else ops::matmul(ctx, {x}, weight, y);
}

/// dx = dy W (+ dx).
void multiply_back(Context& ctx, const Tensor& dy, const Linear& layer, const Tensor& dx, Write write) {
    ArenaScope scope(ctx.workspace);
    ops::matmul(ctx, {dy}, {dense(ctx, *layer.weight, dy.dtype())}, dx, 1.0, write);
}

/// The low-rank branch's input: x, or x through the mask, in workspace.
Tensor dropped(Context& ctx, const Linear& layer, const Tensor& ids, const Tensor& x) {
    if (layer.dropout.probability == 0 || !ids) return x;
    const Tensor y = ctx.workspace.allocate("lora dropout", x.dtype(), x.shape());
    ops::dropout(ctx, layer.dropout, ids, x, y);
    return y;
}

/// dA += s t^T x;  dx += s t A (through the mask); x and t have the same rows.
void backward_a(Context& ctx, const Linear& layer, const Tensor& ids, const Tensor& t, const Tensor& x, const Tensor& dx) {
    ArenaScope scope(ctx.workspace);
    const Tensor masked = dropped(ctx, layer, ids, x);
    ops::matmul(ctx, transposed(t), {masked}, layer.a->gradient, layer.scale, Write::Accumulate);
    if (!dx) return;
    if (masked.raw() == x.raw()) {
        ops::matmul(ctx, {t}, {layer.a->weight}, dx, layer.scale, Write::Accumulate);
        return;
    }
    ops::matmul(ctx, {t}, {layer.a->weight}, masked, layer.scale);
    ops::dropout(ctx, layer.dropout, ids, masked, masked);
    ops::add(ctx, dx, masked, dx);
}

void backward_b(Context& ctx, const Linear& layer, const Tensor& dy, const Tensor& u) {
    ops::matmul(ctx, transposed(dy), {u}, layer.b->gradient, layer.scale, Write::Accumulate);  // dB += s dy^T u
}

/// dW += dy^T x, dy and x of all rows;  db += sum dy over `bias_rows`, of which each rank that has the bias sums its own.
void backward_weight(Context& ctx, const Linear& layer, const Tensor& dy, const Tensor& x, const Tensor& bias_rows) {
    if (layer.weight->trainable) ops::matmul(ctx, transposed(dy), {x}, layer.weight->gradient, 1.0, Write::Accumulate);
    if (layer.bias && layer.bias->trainable) ops::bias_backward(ctx, bias_rows, layer.bias->gradient);
}

std::int64_t low_width(std::span<const ColumnUse> layers) {
    return std::accumulate(layers.begin(), layers.end(), std::int64_t{0},
                           [](auto sum, const auto& use) { return sum + use.layer->rank(); });
}

/// u = x A^T of every adapted layer on this rank's rows, into the columns of `into` one after another, or into each one's own u.
void project_low(Context& ctx, const LayerRows& rows, const Tensor& h, std::span<const ColumnUse> layers, const Wide* into) {
    std::int64_t first = 0;
    for (const auto& [layer, u, y] : layers) {
        if (!layer->a) continue;
        ArenaScope scope(ctx.workspace);
        const Tensor input = dropped(ctx, *layer, rows.own_ids(), h);
        ops::matmul(ctx, {input}, transposed(layer->a->weight), into ? into->low(first, layer->rank()) : u);
        first += layer->rank();
    }
}

}  // namespace

void column_forward(Context& ctx, const LayerRows& rows, const Tensor& h, std::span<const ColumnUse> layers) {
    ArenaScope scope(ctx.workspace);
    Tensor all = h;
    if (rows.group.split()) {
        const std::int64_t low = low_width(layers), n = h.extent(0);
        const Wide own(ctx, "rows to gather", h.dtype(), n, h.extent(1), low);
        const Wide gathered(ctx, "gathered rows", h.dtype(), n * rows.group.size(), h.extent(1), low);
        ops::cast(ctx, h, own.wide());
        project_low(ctx, rows, h, layers, &own);
        rows.group.gather(ctx, own.all, gathered.all);
        all = gathered.wide();
        std::int64_t first = 0;
        for (const auto& [layer, u, y] : layers) {
            if (layer->a) ops::cast(ctx, gathered.low(first, layer->rank()), u);
            first += layer->rank();
        }
    } else {
        project_low(ctx, rows, h, layers, nullptr);
    }
    for (const auto& [layer, u, y] : layers) {
        multiply(ctx, all, *layer, y, Bias::Add);                                                               // y = h W^T + b
        if (layer->a) ops::matmul(ctx, {u}, transposed(layer->b->weight), y, layer->scale, Write::Accumulate);  // y += s u B^T
    }
}

void column_backward_weight(Context& ctx, const LayerRows& rows, const Tensor& h, std::span<const ColumnUse> layers) {
    bool trains = false;
    for (const auto& use : layers) trains = trains || use.layer->weight->trainable;
    if (!trains) return;
    ArenaScope scope(ctx.workspace);
    Tensor all = h;
    if (rows.group.split()) {
        all = ctx.workspace.allocate("gathered rows", h.dtype(), {h.extent(0) * rows.group.size(), h.extent(1)});
        rows.group.gather(ctx, h, all);
    }
    for (const auto& [layer, u, dy] : layers) backward_weight(ctx, *layer, dy, all, dy);
}

void column_backward(Context& ctx, const LayerRows& rows, BackwardPart part, const Tensor& h, std::span<const ColumnUse> layers,
                     const Tensor& dh) {
    ArenaScope scope(ctx.workspace);
    const bool split = rows.group.split();
    const std::int64_t low = low_width(layers), n = layers[0].y.extent(0), width = dh ? h.extent(1) : 0;
    // Partial sums over the ranks' outputs: dh = sum dy W, t = dy B.
    const Wide partial(ctx, "dh before its sum", h.dtype(), n, split ? width : 0, low);
    const Tensor dh_all = split && dh ? partial.wide() : dh;
    std::int64_t first = 0;
    Write write = Write::Overwrite;
    for (const auto& [layer, u, dy] : layers) {
        if (dh) multiply_back(ctx, dy, *layer, dh_all, write);
        write = Write::Accumulate;
        if (layer->a) {
            ops::matmul(ctx, {dy}, {layer->b->weight}, partial.low(first, layer->rank()));
            backward_b(ctx, *layer, dy, u);
        }
        first += layer->rank();
    }
    const Wide own = split ? Wide(ctx, "dh", h.dtype(), h.extent(0), width, low) : partial;
    if (split && width + low > 0) {
        rows.group.sum_scatter(ctx, partial.all, own.all);
        if (dh) ops::cast(ctx, own.wide(), dh);
    }
    first = 0;
    for (const auto& use : layers) {
        if (use.layer->a) backward_a(ctx, *use.layer, rows.own_ids(), own.low(first, use.layer->rank()), h, dh);
        first += use.layer->rank();
    }
    if (part == BackwardPart::Both) column_backward_weight(ctx, rows, h, layers);
}

void row_forward(Context& ctx, const LayerRows& rows, const Linear& layer, const Tensor& x, const Tensor& u, const Tensor& y) {
    ArenaScope scope(ctx.workspace);
    const auto project = [&](const Tensor& wide, const Tensor& low, Bias bias) {
        multiply(ctx, x, layer, wide, bias);
        if (layer.a) ops::matmul(ctx, {dropped(ctx, layer, rows.ids, x)}, transposed(layer.a->weight), low);
    };
    if (rows.group.split()) {
        const Wide partial(ctx, "y before its sum", x.dtype(), x.extent(0), y.extent(1), layer.rank());
        const Wide own(ctx, "y", x.dtype(), y.extent(0), y.extent(1), layer.rank());
        project(partial.wide(), layer.a ? partial.low(0, layer.rank()) : Tensor(), Bias::Skip);
        rows.group.sum_scatter(ctx, partial.all, own.all);
        ops::cast(ctx, own.wide(), y);
        if (layer.a) ops::cast(ctx, own.low(0, layer.rank()), u);
        if (layer.bias) ops::bias_add(ctx, layer.bias->weight, y);
    } else {
        project(y, u, Bias::Add);
    }
    if (layer.a) ops::matmul(ctx, {u}, transposed(layer.b->weight), y, layer.scale, Write::Accumulate);
}

void row_backward_weight(Context& ctx, const LayerRows& rows, const Linear& layer, const Tensor& dy, const Tensor& x) {
    ArenaScope scope(ctx.workspace);
    Tensor all = dy;
    if (rows.group.split() && layer.weight->trainable) {
        all = ctx.workspace.allocate("gathered dy", dy.dtype(), {x.extent(0), dy.extent(1)});
        rows.group.gather(ctx, dy, all);
    }
    backward_weight(ctx, layer, all, x, dy);
}

void row_backward(Context& ctx, const LayerRows& rows, BackwardPart part, const Linear& layer, const Tensor& dy, const Tensor& x,
                  const Tensor& u, const Tensor& dx) {
    ArenaScope scope(ctx.workspace);
    const std::int64_t width = dy.extent(1), r = layer.rank();
    Tensor all = dy, t = layer.a ? ctx.workspace.allocate("lora t", dy.dtype(), {dy.extent(0), r}) : Tensor();
    if (layer.a) {
        ops::matmul(ctx, {dy}, {layer.b->weight}, t);  // t = dy B
        backward_b(ctx, layer, dy, u);
    }
    if (rows.group.split()) {
        const Wide own(ctx, "dy to gather", dy.dtype(), dy.extent(0), width, r);
        const Wide gathered(ctx, "gathered dy", dy.dtype(), x.extent(0), width, r);
        ops::cast(ctx, dy, own.wide());
        if (layer.a) ops::cast(ctx, t, own.low(0, r));
        rows.group.gather(ctx, own.all, gathered.all);
        all = gathered.wide();
        if (layer.a) t = gathered.low(0, r);
    }
    multiply_back(ctx, all, layer, dx, Write::Overwrite);  // dx = dy W
    if (layer.a) backward_a(ctx, layer, rows.ids, t, x, dx);
    if (part == BackwardPart::Both) backward_weight(ctx, layer, all, x, dy);
}

}  // namespace tandem
