#include "kernels/cuda/dry/backend_dry_cuda.h"

#include "kernels/cuda/scratch.h"

namespace tandem {

void DryCudaBackend::matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    DryBackend::matmul(ctx, a, b, c, alpha, write);
    const ArenaScope scope(ctx.workspace);
    cuda::take_matmul_workspace(ctx);
}

void DryCudaBackend::matmul_bias(Context& ctx, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) {
    DryBackend::matmul_bias(ctx, a, b, bias, c);
    const ArenaScope scope(ctx.workspace);
    cuda::take_matmul_workspace(ctx);
}

void DryCudaBackend::bias_backward(Context& ctx, const Tensor& dy, const Tensor& dbias) {
    DryBackend::bias_backward(ctx, dy, dbias);
    const ArenaScope scope(ctx.workspace);
    cuda::take_column_sums(ctx, dy);
}

void DryCudaBackend::embedding_backward(Context& ctx, const Tensor& dy, const Tensor& ids, const Tensor& dtable) {
    DryBackend::embedding_backward(ctx, dy, ids, dtable);
    const ArenaScope scope(ctx.workspace);
    cuda::take_token_order(ctx, ids);
}

void DryCudaBackend::rmsnorm_backward(Context& ctx, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w,
                                      const Tensor& rstd, const Tensor& dx, Write write, const Tensor& dw) {
    DryBackend::rmsnorm_backward(ctx, norm, dy, x, w, rstd, dx, write, dw);
    const ArenaScope scope(ctx.workspace);
    if (dw) cuda::take_norm_gradient_sums(ctx, x);
}

void DryCudaBackend::attention(Context& ctx, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k,
                               const Tensor& v, const Tensor& o, const Tensor& lse) {
    DryBackend::attention(ctx, params, segments, q, k, v, o, lse);
    const ArenaScope scope(ctx.workspace);
    if (attention_ != AttentionKernels::Own) cuda::take_attention_library_space(ctx, q);
}

void DryCudaBackend::attention_backward(Context& ctx, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                                        const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq,
                                        const Tensor& dk, const Tensor& dv) {
    DryBackend::attention_backward(ctx, params, segments, d_o, q, k, v, o, lse, dq, dk, dv);
    const ArenaScope scope(ctx.workspace);
    cuda::take_attention_delta(ctx, q);
}

void DryCudaBackend::cross_entropy(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum,
                                   const Tensor& dlogits) {
    DryBackend::cross_entropy(ctx, logits, labels, loss_sum, dlogits);
    const ArenaScope scope(ctx.workspace);
    cuda::take_row_losses(ctx, logits);
}

void DryCudaBackend::cross_entropy_from_statistics(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                                   const Tensor& loss_sum, const Tensor& dlogits) {
    DryBackend::cross_entropy_from_statistics(ctx, logits, labels, statistics, loss_sum, dlogits);
    const ArenaScope scope(ctx.workspace);
    cuda::take_row_losses(ctx, logits);
}

void DryCudaBackend::sum_of_squares(Context& ctx, const Tensor& x, const Tensor& sum) {
    DryBackend::sum_of_squares(ctx, x, sum);
    const ArenaScope scope(ctx.workspace);
    cuda::take_squares_parts(ctx, x.elements());
}

std::unique_ptr<DryBackend> make_dry_cuda_backend(AttentionKernels attention) { return std::make_unique<DryCudaBackend>(attention); }

}  // namespace tandem
