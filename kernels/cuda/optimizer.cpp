#include "kernels/ops/optimizer.h"

#include <cmath>

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/optimizer.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/stream.h"
#include "kernels/cuda/sums.cuh"

namespace tandem {

namespace cuda {

AdamWStep adamw_step(const AdamW& params) {
    const auto t = static_cast<double>(params.step);
    return {.decay = static_cast<float>(1.0 - params.learning_rate * params.weight_decay),
            .beta1 = static_cast<float>(params.beta1),
            .rest1 = static_cast<float>(1.0 - params.beta1),
            .beta2 = static_cast<float>(params.beta2),
            .rest2 = static_cast<float>(1.0 - params.beta2),
            .rate = static_cast<float>(params.learning_rate / (1.0 - std::pow(params.beta1, t))),
            .correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(params.beta2, t))),
            .eps = static_cast<float>(params.eps)};
}

namespace {

/// Elements of optimizer state, of a type that kernels compute in.
float* state(std::string_view op, const Tensor& x) { return static_cast<float*>(rows(op, x).data); }

}  // namespace

}  // namespace cuda

void CudaBackend::sum_of_squares(Context& ctx, const Tensor& x, const Tensor& sum) {
    const auto stream = cuda::queue(ctx.stream);
    const ArenaScope scope(ctx.workspace);
    const Tensor parts = cuda::take_squares_parts(ctx, x.elements());
    cuda::check(cuda::launch_squares(x.elements(), cuda::rows("sum_of_squares", x), parts.data<double>(), stream), "sum_of_squares", {x});
    cuda::check(cuda::launch_add_parts(parts.data<double>(), parts.extent(0), sum.data<double>(), stream), "sum_of_squares", {sum});
}

void CudaBackend::clip_scale(Context& ctx, const Tensor& sum, double max_norm, double inverse_tokens, const Tensor& norm,
                             const Tensor& scale) {
    cuda::check(cuda::launch_clip_scale(sum.data<double>(), max_norm, inverse_tokens, norm.data<double>(), scale.data<double>(),
                                        cuda::queue(ctx.stream)),
                "clip_scale");
}

void CudaBackend::adamw(Context& ctx, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& m, const Tensor& v,
                        const Tensor& master) {
    const auto of = [](const Tensor& x) { return cuda::state("adamw", x); };
    cuda::check(cuda::launch_adamw(master.elements(), cuda::adamw_step(params), grad_scale.data<double>(), of(grad), of(m), of(v),
                                   of(master), cuda::queue(ctx.stream)),
                "adamw", {grad, m, v, master});
}

void CudaBackend::sgd(Context& ctx, const Sgd& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& master) {
    const auto decay = static_cast<float>(1.0 - params.learning_rate * params.weight_decay);
    cuda::check(cuda::launch_sgd(master.elements(), params.learning_rate, decay, grad_scale.data<double>(), cuda::state("sgd", grad),
                                 cuda::state("sgd", master), cuda::queue(ctx.stream)),
                "sgd", {grad, master});
}

}  // namespace tandem
