#include "kernels/cpu/backend_dry_cpu.h"

#include <omp.h>

#include "kernels/cpu/matmul_route.h"
#include "kernels/cpu/matmul_widened.h"
#include "kernels/cpu/scratch.h"

namespace tandem {

DryCpuBackend::DryCpuBackend(int threads) : threads_(threads), onednn_(std::make_unique<cpu::OneDnnMatmul>()) {
    if (threads < 1) fail(Failure::Configuration, "the cpu backend needs at least one thread, not {}", threads);
}

DryCpuBackend::~DryCpuBackend() = default;

void DryCpuBackend::matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    DryBackend::matmul(ctx, a, b, c, alpha, write);
    rehearse_matmul(ctx, a, b, c, alpha, write);
}

void DryCpuBackend::matmul_bias(Context& ctx, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) {
    DryBackend::matmul_bias(ctx, a, b, bias, c);
    rehearse_matmul(ctx, a, b, c, 1.0, Write::Accumulate);
}

void DryCpuBackend::rehearse_matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    omp_set_num_threads(threads_);  // oneDNN's choice, and so its scratchpad, depends on it
    switch (cpu::route_of(a, b)) {
        case cpu::Route::Gemv: return;
        case cpu::Route::Native: return onednn_->rehearse(ctx, a, b, c, alpha, write);
        case cpu::Route::Widened: return cpu::matmul_widened(ctx, *onednn_, threads_, a, b, c, alpha, write, cpu::Execution::Rehearse);
    }
}

void DryCpuBackend::rmsnorm_backward(Context& ctx, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w,
                                     const Tensor& rstd, const Tensor& dx, Write write, const Tensor& dw) {
    DryBackend::rmsnorm_backward(ctx, norm, dy, x, w, rstd, dx, write, dw);
    ArenaScope scope(ctx.workspace);
    if (dw) cpu::take_norm_gradient_sums(ctx, x);
}

void DryCpuBackend::attention(Context& ctx, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k,
                              const Tensor& v, const Tensor& o, const Tensor& lse) {
    DryBackend::attention(ctx, params, segments, q, k, v, o, lse);
    ArenaScope scope(ctx.workspace);
    cpu::take_attention_scratch(ctx, threads_, cpu::attention_tiles(q.extent(2)));
}

void DryCpuBackend::attention_backward(Context& ctx, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                                       const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq,
                                       const Tensor& dk, const Tensor& dv) {
    DryBackend::attention_backward(ctx, params, segments, d_o, q, k, v, o, lse, dq, dk, dv);
    ArenaScope scope(ctx.workspace);
    cpu::take_attention_delta(ctx, q);
    cpu::take_attention_scratch(ctx, threads_, cpu::attention_backward_tiles(q.extent(2)));
}

void DryCpuBackend::cross_entropy(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) {
    DryBackend::cross_entropy(ctx, logits, labels, loss_sum, dlogits);
    ArenaScope scope(ctx.workspace);
    cpu::take_row_losses(ctx, logits);
}

void DryCpuBackend::cross_entropy_from_statistics(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                                  const Tensor& loss_sum, const Tensor& dlogits) {
    DryBackend::cross_entropy_from_statistics(ctx, logits, labels, statistics, loss_sum, dlogits);
    ArenaScope scope(ctx.workspace);
    cpu::take_row_losses(ctx, logits);
}

void DryCpuBackend::sum_of_squares(Context& ctx, const Tensor& x, const Tensor& sum) {
    DryBackend::sum_of_squares(ctx, x, sum);
    ArenaScope scope(ctx.workspace);
    cpu::take_partial_sums(ctx, x.elements());
}

std::unique_ptr<DryBackend> make_dry_cpu_backend(int threads) { return std::make_unique<DryCpuBackend>(threads); }

}  // namespace tandem
