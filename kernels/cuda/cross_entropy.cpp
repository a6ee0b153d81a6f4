#include "kernels/ops/cross_entropy.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/cross_entropy.cuh"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/stream.h"
#include "kernels/cuda/sums.cuh"

namespace tandem {

namespace {

cuda::LabelledLogits labelled(std::string_view op, const Tensor& logits, const Tensor& labels) {
    return {cuda::extent_of(logits), cuda::rows(op, logits), labels.data<std::int32_t>()};
}

cuda::Rows gradient(std::string_view op, const Tensor& dlogits) {
    return dlogits ? cuda::rows(op, dlogits) : cuda::Rows{nullptr, cuda::Element::F32, 0};
}

void add_losses(Context& ctx, std::string_view op, const Tensor& losses, const Tensor& loss_sum) {
    const auto stream = cuda::queue(ctx.stream);
    cuda::check(cuda::launch_add_parts(losses.data<double>(), losses.extent(0), loss_sum.data<double>(), stream), op, {loss_sum});
}

}  // namespace

void CudaBackend::cross_entropy(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) {
    const auto in = labelled("cross_entropy", logits, labels);
    const ArenaScope scope(ctx.workspace);
    const Tensor losses = cuda::take_row_losses(ctx, logits);
    cuda::check(cuda::launch_cross_entropy(in, losses.data<double>(), gradient("cross_entropy", dlogits), cuda::queue(ctx.stream)),
                "cross_entropy", {logits, dlogits});
    add_losses(ctx, "cross_entropy", losses, loss_sum);
}

void CudaBackend::cross_entropy_statistics(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& statistics) {
    const auto in = labelled("cross_entropy_statistics", logits, labels);
    cuda::check(cuda::launch_cross_entropy_statistics(in, statistics.data<float>(), cuda::queue(ctx.stream)), "cross_entropy_statistics",
                {logits, statistics});
}

void CudaBackend::cross_entropy_from_statistics(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                                const Tensor& loss_sum, const Tensor& dlogits) {
    constexpr std::string_view kOp = "cross_entropy_from_statistics";
    const auto in = labelled(kOp, logits, labels);
    const ArenaScope scope(ctx.workspace);
    const Tensor losses = cuda::take_row_losses(ctx, logits);
    double* each = loss_sum ? losses.data<double>() : nullptr;
    cuda::check(cuda::launch_cross_entropy_from_statistics(in, statistics.data<float>(), statistics.extent(0), each, gradient(kOp, dlogits),
                                                           cuda::queue(ctx.stream)),
                kOp, {logits, statistics, dlogits});
    if (loss_sum) add_losses(ctx, kOp, losses, loss_sum);
}

}  // namespace tandem
