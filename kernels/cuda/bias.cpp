#include "kernels/ops/bias.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/bias.cuh"
#include "kernels/cuda/check.h"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/stream.h"

namespace tandem {

void CudaBackend::bias_add(Context& ctx, const Tensor& bias, const Tensor& y) {
    cuda::check(cuda::launch_bias_add(cuda::extent_of(y), cuda::rows("bias_add", bias), cuda::rows("bias_add", y), cuda::queue(ctx.stream)),
                "bias_add", {bias, y});
}

void CudaBackend::bias_backward(Context& ctx, const Tensor& dy, const Tensor& dbias) {
    ArenaScope scope(ctx.workspace);
    const Tensor partial = cuda::take_column_sums(ctx, dy);
    cuda::check(cuda::launch_column_sums(cuda::extent_of(dy), cuda::rows("bias_backward", dy), static_cast<float*>(partial.raw()),
                                         dbias.data<float>(), cuda::queue(ctx.stream)),
                "bias_backward", {dy, dbias});
}

}  // namespace tandem
