#include "src/model/block.h"

#include <array>
#include <cmath>

#include "kernels/ops/attention.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/glu.h"
#include "kernels/ops/rmsnorm.h"
#include "kernels/ops/rope.h"

namespace tandem {
namespace {

Tensor by_head(const Tensor& x, std::int64_t head_dim) { return x.reshape({x.extent(0), x.extent(1) / head_dim, head_dim}); }
/// One row a head, for the norm of queries and keys.
Tensor head_rows(const Tensor& x, std::int64_t head_dim) { return x.reshape({x.elements() / head_dim, head_dim}); }
Tensor gradient_of(const Parameter& p) { return p.trainable ? p.gradient : Tensor(); }

}  // namespace

ModelConfig local_config(ModelConfig model, int ranks) {
    model.heads /= ranks;
    model.kv_heads /= ranks;
    model.ffn /= ranks;
    return model;
}

bool Block::trains() const {
    for (const Linear* layer : {&q, &k, &v, &o, &gate, &up, &down}) {
        if (layer->trains()) return true;
    }
    return input_norm->trainable || post_norm->trainable;
}

Attention Block::attention_parameters(const ModelConfig& m) const {
    return {.scale = 1.0 / std::sqrt(static_cast<double>(m.head_dim)), .window = window, .softcap = 0.0};
}

Block::Saved Block::reserve(const ModelConfig& m, const BatchView& batch, std::int64_t own, DType t, Arena& arena) const {
    const DType stat = accumulation_type(t);
    const std::int64_t n = batch.tokens();
    const auto low_rank = [&](const Linear& layer, std::int64_t rows) {
        return layer.a ? arena.allocate(layer.path + " u", t, {rows, layer.rank()}) : Tensor();
    };
    Saved s;
    s.rstd1 = arena.allocate("rstd1", stat, {own});
    s.q = arena.allocate("q", t, {n, m.query_width()});
    s.k = arena.allocate("k", t, {n, m.kv_width()});
    s.v = arena.allocate("v", t, {n, m.kv_width()});
    if (q_norm) {
        s.q_raw = arena.allocate("q before norm", t, {n, m.query_width()});
        s.k_raw = arena.allocate("k before norm", t, {n, m.kv_width()});
        s.rstd_q = arena.allocate("rstd q", stat, {n * m.heads});
        s.rstd_k = arena.allocate("rstd k", stat, {n * m.kv_heads});
    }
    s.o = arena.allocate("attention output", t, {n, m.query_width()});
    s.lse = arena.allocate("lse", stat, {m.heads, n});
    s.x2 = arena.allocate("x2", t, {own, m.hidden});
    s.rstd2 = arena.allocate("rstd2", stat, {own});
    s.gate = arena.allocate("gate", t, {n, m.ffn});
    s.up = arena.allocate("up", t, {n, m.ffn});
    s.u_q = low_rank(q, n), s.u_k = low_rank(k, n), s.u_v = low_rank(v, n), s.u_o = low_rank(o, own);
    s.u_gate = low_rank(gate, n), s.u_up = low_rank(up, n), s.u_down = low_rank(down, own);
    return s;
}

void Block::project_heads(Context& ctx, const ModelConfig& m, const BatchView& batch, const Tensor& x, Saved& s) const {
    ArenaScope scope(ctx.workspace);
    const Tensor h1 = ctx.workspace.allocate("h1", x.dtype(), x.shape());
    ops::rmsnorm(ctx, m.norm, x, input_norm->weight, h1, s.rstd1);  // h1 = norm(x)
    const std::array<ColumnUse, 3> layers = {{{&q, s.u_q, q_norm ? s.q_raw : s.q}, {&k, s.u_k, k_norm ? s.k_raw : s.k}, {&v, s.u_v, s.v}}};
    column_forward(ctx, batch.rows(), h1, layers);  // q, k, v = h1 Wqkv
    if (q_norm) {
        ops::rmsnorm(ctx, m.norm, head_rows(s.q_raw, m.head_dim), q_norm->weight, head_rows(s.q, m.head_dim), s.rstd_q);
        ops::rmsnorm(ctx, m.norm, head_rows(s.k_raw, m.head_dim), k_norm->weight, head_rows(s.k, m.head_dim), s.rstd_k);
    }
    ops::rope(ctx, Rotation::Forward, batch.cos, batch.sin, batch.positions, by_head(s.q, m.head_dim));
    ops::rope(ctx, Rotation::Forward, batch.cos, batch.sin, batch.positions, by_head(s.k, m.head_dim));
}

void Block::feed_forward(Context& ctx, const ModelConfig& m, const BatchView& batch, Saved& s, const Tensor& y) const {
    ArenaScope scope(ctx.workspace);
    const Tensor h2 = ctx.workspace.allocate("h2", s.x2.dtype(), s.x2.shape());
    ops::rmsnorm(ctx, m.norm, s.x2, post_norm->weight, h2, s.rstd2);  // h2 = norm(x2)
    const std::array<ColumnUse, 2> layers = {{{&gate, s.u_gate, s.gate}, {&up, s.u_up, s.up}}};
    column_forward(ctx, batch.rows(), h2, layers);  // gate, up = h2 Wg, h2 Wu
    const Tensor product = ctx.workspace.allocate("gated product", s.gate.dtype(), s.gate.shape());
    ops::glu(ctx, m.activation, s.gate, s.up, product);  // act(gate) * up
    row_forward(ctx, batch.rows(), down, product, s.u_down, y);
    ops::add(ctx, y, s.x2, y);  // y = x2 + product Wd
}

Block::Saved Block::forward(Context& ctx, const ModelConfig& m, const BatchView& batch, Arena& arena, const Tensor& x,
                            const Tensor& y) const {
    Saved s = reserve(m, batch, x.extent(0), x.dtype(), arena);
    s.x = x;
    project_heads(ctx, m, batch, x, s);
    ops::attention(ctx, attention_parameters(m), batch.segments, by_head(s.q, m.head_dim), by_head(s.k, m.head_dim),
                   by_head(s.v, m.head_dim), by_head(s.o, m.head_dim), s.lse);
    row_forward(ctx, batch.rows(), o, s.o, s.u_o, s.x2);
    ops::add(ctx, s.x2, x, s.x2);  // x2 = x + o Wo
    feed_forward(ctx, m, batch, s, y);
    return s;
}

void Block::feed_forward_backward(Context& ctx, const ModelConfig& m, const BatchView& batch, const Saved& s, const Tensor& dy,
                                  const Deferred* deferred) const {
    ArenaScope scope(ctx.workspace);
    const BackwardPart part = deferred ? BackwardPart::Input : BackwardPart::Both;
    const Tensor dgate = deferred ? deferred->gate : ctx.workspace.allocate("dgate", dy.dtype(), s.gate.shape());
    const Tensor dup = deferred ? deferred->up : ctx.workspace.allocate("dup", dy.dtype(), s.gate.shape());
    if (deferred) ops::cast(ctx, dy, deferred->down);                       // dy becomes dx in place
    ops::glu(ctx, m.activation, s.gate, s.up, dup);                         // the product, once more
    row_backward(ctx, batch.rows(), part, down, dy, dup, s.u_down, dgate);  // d(product), in dgate
    // dgate holds d(product) on entry: the op reads it before it writes.
    const Tensor dproduct = dgate;
    ops::glu_backward(ctx, m.activation, dproduct, s.gate, s.up, dgate, dup);
    const Tensor h2 = ctx.workspace.allocate("h2", dy.dtype(), s.x2.shape());
    ops::rmsnorm(ctx, m.norm, s.x2, post_norm->weight, h2, Tensor());
    const Tensor dh2 = ctx.workspace.allocate("dh2", dy.dtype(), s.x2.shape());
    const std::array<ColumnUse, 2> layers = {{{&gate, s.u_gate, dgate}, {&up, s.u_up, dup}}};
    column_backward(ctx, batch.rows(), part, h2, layers, dh2);
    // dx2 = dy + norm'(dh2)
    ops::rmsnorm_backward(ctx, m.norm, dh2, s.x2, post_norm->weight, s.rstd2, dy, Write::Accumulate, gradient_of(*post_norm));
}

void Block::attention_backward(Context& ctx, const ModelConfig& m, const BatchView& batch, const Saved& s, const Tensor& dy, bool needs_dx,
                               const Deferred* deferred) const {
    ArenaScope scope(ctx.workspace);
    const BackwardPart part = deferred ? BackwardPart::Input : BackwardPart::Both;
    const std::int64_t d = m.head_dim;
    if (deferred) ops::cast(ctx, dy, deferred->o);
    const Tensor d_o = ctx.workspace.allocate("d_o", dy.dtype(), s.o.shape());
    row_backward(ctx, batch.rows(), part, o, dy, s.o, s.u_o, d_o);
    const Tensor dq = deferred ? deferred->q : ctx.workspace.allocate("dq", dy.dtype(), s.q.shape());
    const Tensor dk = deferred ? deferred->k : ctx.workspace.allocate("dk", dy.dtype(), s.k.shape());
    const Tensor dv = deferred ? deferred->v : ctx.workspace.allocate("dv", dy.dtype(), s.v.shape());
    ops::attention_backward(ctx, attention_parameters(m), batch.segments, by_head(d_o, d), by_head(s.q, d), by_head(s.k, d),
                            by_head(s.v, d), by_head(s.o, d), s.lse, by_head(dq, d), by_head(dk, d), by_head(dv, d));
    ops::rope(ctx, Rotation::Backward, batch.cos, batch.sin, batch.positions, by_head(dq, d));
    ops::rope(ctx, Rotation::Backward, batch.cos, batch.sin, batch.positions, by_head(dk, d));
    if (q_norm) {
        ops::rmsnorm_backward(ctx, m.norm, head_rows(dq, d), head_rows(s.q_raw, d), q_norm->weight, s.rstd_q, head_rows(dq, d),
                              Write::Overwrite, gradient_of(*q_norm));
        ops::rmsnorm_backward(ctx, m.norm, head_rows(dk, d), head_rows(s.k_raw, d), k_norm->weight, s.rstd_k, head_rows(dk, d),
                              Write::Overwrite, gradient_of(*k_norm));
    }
    const Tensor h1 = ctx.workspace.allocate("h1", dy.dtype(), s.x.shape());
    ops::rmsnorm(ctx, m.norm, s.x, input_norm->weight, h1, Tensor());
    const bool through_norm = needs_dx || input_norm->trainable;
    const Tensor dh1 = through_norm ? ctx.workspace.allocate("dh1", dy.dtype(), s.x.shape()) : Tensor();
    const std::array<ColumnUse, 3> layers = {{{&q, s.u_q, dq}, {&k, s.u_k, dk}, {&v, s.u_v, dv}}};
    column_backward(ctx, batch.rows(), part, h1, layers, dh1);
    if (!through_norm) return;
    // dx = dx2 + norm'(dh1)
    ops::rmsnorm_backward(ctx, m.norm, dh1, s.x, input_norm->weight, s.rstd1, dy, Write::Accumulate, gradient_of(*input_norm));
}

void Block::backward(Context& ctx, const ModelConfig& m, const BatchView& batch, const Saved& saved, const Tensor& dy, bool needs_dx,
                     const Deferred* deferred) const {
    feed_forward_backward(ctx, m, batch, saved, dy, deferred);
    attention_backward(ctx, m, batch, saved, dy, needs_dx, deferred);
}

Block::Deferred Block::reserve_deferred(const ModelConfig& m, const BatchView& batch, DType t, Arena& arena) const {
    const std::int64_t n = batch.tokens(), own = n / batch.group.size();
    const auto reserve = [&](std::string_view what, std::int64_t rows, std::int64_t width) {
        return arena.allocate(what, t, {rows, width});
    };
    Deferred d;
    d.q = reserve("dq", n, m.query_width()), d.k = reserve("dk", n, m.kv_width()), d.v = reserve("dv", n, m.kv_width());
    d.gate = reserve("dgate", n, m.ffn), d.up = reserve("dup", n, m.ffn);
    d.o = reserve("dx2", own, m.hidden), d.down = reserve("dy", own, m.hidden);
    return d;
}

void Block::backward_weight(Context& ctx, const ModelConfig& m, const BatchView& batch, const Saved& s, const Deferred& d) const {
    ArenaScope scope(ctx.workspace);
    const LayerRows rows = batch.rows();
    const Tensor h = ctx.workspace.allocate("h", s.x.dtype(), s.x.shape());
    ops::rmsnorm(ctx, m.norm, s.x, input_norm->weight, h, Tensor());  // h1
    column_backward_weight(ctx, rows, h, std::array<ColumnUse, 3>{{{&q, {}, d.q}, {&k, {}, d.k}, {&v, {}, d.v}}});
    row_backward_weight(ctx, rows, o, d.o, s.o);
    ops::rmsnorm(ctx, m.norm, s.x2, post_norm->weight, h, Tensor());  // h2
    column_backward_weight(ctx, rows, h, std::array<ColumnUse, 2>{{{&gate, {}, d.gate}, {&up, {}, d.up}}});
    const Tensor product = ctx.workspace.allocate("gated product", s.gate.dtype(), s.gate.shape());
    ops::glu(ctx, m.activation, s.gate, s.up, product);
    row_backward_weight(ctx, rows, down, d.down, product);
}

void Block::decode(Context& ctx, const ModelConfig& m, const BatchView& batch, const LayerCache& cache, std::int64_t length,
                   const Tensor& x) const {
    ArenaScope scope(ctx.workspace);
    const std::int64_t n = batch.tokens();
    Saved s = reserve(m, batch, x.extent(0), x.dtype(), ctx.workspace);
    s.k = cache.k.rows(length, length + n).reshape({n, m.kv_width()});
    s.v = cache.v.rows(length, length + n).reshape({n, m.kv_width()});
    project_heads(ctx, m, batch, x, s);
    ops::attention(ctx, attention_parameters(m), batch.segments, by_head(s.q, m.head_dim), cache.k.rows(0, length + n),
                   cache.v.rows(0, length + n), by_head(s.o, m.head_dim), s.lse);
    row_forward(ctx, batch.rows(), o, s.o, s.u_o, s.x2);
    ops::add(ctx, s.x2, x, s.x2);
    feed_forward(ctx, m, batch, s, x);
}

}  // namespace tandem
