#include "kernels/ops/rmsnorm.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/rmsnorm.cuh"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/stream.h"

namespace tandem {

namespace {

cuda::NormInput norm_input(std::string_view op, const RmsNorm& norm, const Tensor& x, const Tensor& w) {
    return {cuda::extent_of(x), cuda::rows(op, x), w.raw(), static_cast<float>(norm.eps), static_cast<float>(norm.weight_offset)};
}

}  // namespace

void CudaBackend::rmsnorm(Context& ctx, const RmsNorm& norm, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd) {
    const auto in = norm_input("rmsnorm", norm, x, w);
    float* statistics = rstd ? rstd.data<float>() : nullptr;
    cuda::check(cuda::launch_rmsnorm(in, cuda::rows("rmsnorm", y), statistics, cuda::queue(ctx.stream)), "rmsnorm", {x, w, y});
}

void CudaBackend::rmsnorm_backward(Context& ctx, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w,
                                   const Tensor& rstd, const Tensor& dx, Write write, const Tensor& dw) {
    const auto in = norm_input("rmsnorm_backward", norm, x, w);
    const auto how = write == Write::Accumulate ? cuda::NormWrite::Accumulate : cuda::NormWrite::Overwrite;
    const ArenaScope scope(ctx.workspace);
    float* partial = dw ? cuda::take_norm_gradient_sums(ctx, x).data<float>() : nullptr;
    cuda::check(
        cuda::launch_rmsnorm_backward(in, cuda::rows("rmsnorm_backward", dy), rstd.data<float>(), cuda::rows("rmsnorm_backward", dx), how,
                                      partial, dw ? dw.data<float>() : nullptr, cuda::queue(ctx.stream)),
        "rmsnorm_backward", {dy, x, w, dx});
}

}  // namespace tandem
