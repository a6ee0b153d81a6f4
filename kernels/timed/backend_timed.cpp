#include "kernels/timed/backend_timed.h"

#include <chrono>

namespace tandem {

template <class Op>
void TimedBackend::timed(Context& ctx, Op&& op) {
    Context inner{*device_, ctx.stream, ctx.workspace};  // what the op does inside counts as its own
    const auto start = std::chrono::steady_clock::now();
    op(inner);
    ctx.stream.synchronize();
    counts().last().seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void TimedBackend::zero(Context& ctx, const Tensor& x) {
    DryBackend::zero(ctx, x);
    timed(ctx, [&](Context& own) { device_->zero(own, x); });
}

void TimedBackend::cast(Context& ctx, const Tensor& x, const Tensor& y) {
    DryBackend::cast(ctx, x, y);
    timed(ctx, [&](Context& own) { device_->cast(own, x, y); });
}

void TimedBackend::add(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& y) {
    DryBackend::add(ctx, a, b, y);
    timed(ctx, [&](Context& own) { device_->add(own, a, b, y); });
}

void TimedBackend::axpy(Context& ctx, double alpha, const Tensor& x, const Tensor& y) {
    DryBackend::axpy(ctx, alpha, x, y);
    timed(ctx, [&](Context& own) { device_->axpy(own, alpha, x, y); });
}

void TimedBackend::dropout(Context& ctx, const DropoutMask& mask, const Tensor& row_ids, const Tensor& x, const Tensor& y) {
    DryBackend::dropout(ctx, mask, row_ids, x, y);
    timed(ctx, [&](Context& own) { device_->dropout(own, mask, row_ids, x, y); });
}

void TimedBackend::matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    DryBackend::matmul(ctx, a, b, c, alpha, write);
    timed(ctx, [&](Context& own) { device_->matmul(own, a, b, c, alpha, write); });
}

void TimedBackend::matmul_bias(Context& ctx, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) {
    DryBackend::matmul_bias(ctx, a, b, bias, c);
    timed(ctx, [&](Context& own) { device_->matmul_bias(own, a, b, bias, c); });
}

void TimedBackend::bias_add(Context& ctx, const Tensor& bias, const Tensor& y) {
    DryBackend::bias_add(ctx, bias, y);
    timed(ctx, [&](Context& own) { device_->bias_add(own, bias, y); });
}

void TimedBackend::bias_backward(Context& ctx, const Tensor& dy, const Tensor& dbias) {
    DryBackend::bias_backward(ctx, dy, dbias);
    timed(ctx, [&](Context& own) { device_->bias_backward(own, dy, dbias); });
}

void TimedBackend::dequantize(Context& ctx, const FourBitMatrix& w, const Tensor& y) {
    DryBackend::dequantize(ctx, w, y);
    timed(ctx, [&](Context& own) { device_->dequantize(own, w, y); });
}

void TimedBackend::embedding(Context& ctx, const Tensor& table, const Tensor& ids, const Tensor& y) {
    DryBackend::embedding(ctx, table, ids, y);
    timed(ctx, [&](Context& own) { device_->embedding(own, table, ids, y); });
}

void TimedBackend::embedding_backward(Context& ctx, const Tensor& dy, const Tensor& ids, const Tensor& dtable) {
    DryBackend::embedding_backward(ctx, dy, ids, dtable);
    timed(ctx, [&](Context& own) { device_->embedding_backward(own, dy, ids, dtable); });
}

void TimedBackend::gather_rows(Context& ctx, const Tensor& x, const Tensor& index, const Tensor& y) {
    DryBackend::gather_rows(ctx, x, index, y);
    timed(ctx, [&](Context& own) { device_->gather_rows(own, x, index, y); });
}

void TimedBackend::scatter_rows(Context& ctx, const Tensor& x, const Tensor& index, const Tensor& y) {
    DryBackend::scatter_rows(ctx, x, index, y);
    timed(ctx, [&](Context& own) { device_->scatter_rows(own, x, index, y); });
}

void TimedBackend::rmsnorm(Context& ctx, const RmsNorm& norm, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd) {
    DryBackend::rmsnorm(ctx, norm, x, w, y, rstd);
    timed(ctx, [&](Context& own) { device_->rmsnorm(own, norm, x, w, y, rstd); });
}

void TimedBackend::rmsnorm_backward(Context& ctx, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w,
                                    const Tensor& rstd, const Tensor& dx, Write write, const Tensor& dw) {
    DryBackend::rmsnorm_backward(ctx, norm, dy, x, w, rstd, dx, write, dw);
    timed(ctx, [&](Context& own) { device_->rmsnorm_backward(own, norm, dy, x, w, rstd, dx, write, dw); });
}

void TimedBackend::rope(Context& ctx, Rotation rotation, const Tensor& cos, const Tensor& sin, const Tensor& positions, const Tensor& x) {
    DryBackend::rope(ctx, rotation, cos, sin, positions, x);
    timed(ctx, [&](Context& own) { device_->rope(own, rotation, cos, sin, positions, x); });
}

void TimedBackend::attention(Context& ctx, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k,
                             const Tensor& v, const Tensor& o, const Tensor& lse) {
    DryBackend::attention(ctx, params, segments, q, k, v, o, lse);
    timed(ctx, [&](Context& own) { device_->attention(own, params, segments, q, k, v, o, lse); });
}

void TimedBackend::attention_backward(Context& ctx, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                                      const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq,
                                      const Tensor& dk, const Tensor& dv) {
    DryBackend::attention_backward(ctx, params, segments, d_o, q, k, v, o, lse, dq, dk, dv);
    timed(ctx, [&](Context& own) { device_->attention_backward(own, params, segments, d_o, q, k, v, o, lse, dq, dk, dv); });
}

void TimedBackend::glu(Context& ctx, Activation activation, const Tensor& gate, const Tensor& up, const Tensor& y) {
    DryBackend::glu(ctx, activation, gate, up, y);
    timed(ctx, [&](Context& own) { device_->glu(own, activation, gate, up, y); });
}

void TimedBackend::glu_backward(Context& ctx, Activation activation, const Tensor& dy, const Tensor& gate, const Tensor& up,
                                const Tensor& dgate, const Tensor& dup) {
    DryBackend::glu_backward(ctx, activation, dy, gate, up, dgate, dup);
    timed(ctx, [&](Context& own) { device_->glu_backward(own, activation, dy, gate, up, dgate, dup); });
}

void TimedBackend::cross_entropy(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) {
    DryBackend::cross_entropy(ctx, logits, labels, loss_sum, dlogits);
    timed(ctx, [&](Context& own) { device_->cross_entropy(own, logits, labels, loss_sum, dlogits); });
}

void TimedBackend::cross_entropy_statistics(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& statistics) {
    DryBackend::cross_entropy_statistics(ctx, logits, labels, statistics);
    timed(ctx, [&](Context& own) { device_->cross_entropy_statistics(own, logits, labels, statistics); });
}

void TimedBackend::cross_entropy_from_statistics(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                                 const Tensor& loss_sum, const Tensor& dlogits) {
    DryBackend::cross_entropy_from_statistics(ctx, logits, labels, statistics, loss_sum, dlogits);
    timed(ctx, [&](Context& own) { device_->cross_entropy_from_statistics(own, logits, labels, statistics, loss_sum, dlogits); });
}

void TimedBackend::sum_of_squares(Context& ctx, const Tensor& x, const Tensor& sum) {
    DryBackend::sum_of_squares(ctx, x, sum);
    timed(ctx, [&](Context& own) { device_->sum_of_squares(own, x, sum); });
}

void TimedBackend::clip_scale(Context& ctx, const Tensor& sum, double max_norm, double inverse_tokens, const Tensor& norm,
                              const Tensor& scale) {
    DryBackend::clip_scale(ctx, sum, max_norm, inverse_tokens, norm, scale);
    timed(ctx, [&](Context& own) { device_->clip_scale(own, sum, max_norm, inverse_tokens, norm, scale); });
}

void TimedBackend::adamw(Context& ctx, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& m, const Tensor& v,
                         const Tensor& master) {
    DryBackend::adamw(ctx, params, grad_scale, grad, m, v, master);
    timed(ctx, [&](Context& own) { device_->adamw(own, params, grad_scale, grad, m, v, master); });
}

void TimedBackend::adamw_8bit(Context& ctx, const AdamW& params, const Tensor& grad_scale, const Tensor& grad,
                              const EightBitMoments& moments, const Tensor& master) {
    DryBackend::adamw_8bit(ctx, params, grad_scale, grad, moments, master);
    timed(ctx, [&](Context& own) { device_->adamw_8bit(own, params, grad_scale, grad, moments, master); });
}

void TimedBackend::sgd(Context& ctx, const Sgd& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& master) {
    DryBackend::sgd(ctx, params, grad_scale, grad, master);
    timed(ctx, [&](Context& own) { device_->sgd(own, params, grad_scale, grad, master); });
}

}  // namespace tandem
