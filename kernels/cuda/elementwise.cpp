#include "kernels/ops/elementwise.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/stream.h"
#include "kernels/cuda/transfer.h"

namespace tandem {

void CudaBackend::zero(Context& ctx, const Tensor& x) {
    cuda::check(cuda::fill_zero(cuda::Bytes(x), cuda::queue(ctx.stream)), "zero", {x});
}

void CudaBackend::cast(Context& ctx, const Tensor& x, const Tensor& y) {
    const auto stream = cuda::queue(ctx.stream);
    if (x.dtype() == y.dtype()) {
        if (x.raw() == y.raw()) return;  // the same view, as the op's check has it
        return cuda::check(cuda::copy(cuda::Bytes(y), cuda::Bytes(x), stream), "cast", {x, y});
    }
    const cuda::Operands<2> o("cast", {x, y});
    cuda::check(cuda::launch_cast(o.extent, o.rows[0], o.rows[1], stream), "cast", {x, y});
}

void CudaBackend::add(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& y) {
    const cuda::Operands<3> o("add", {a, b, y});
    cuda::check(cuda::launch_add(o.extent, o.rows[0], o.rows[1], o.rows[2], cuda::queue(ctx.stream)), "add", {a, b, y});
}

void CudaBackend::axpy(Context& ctx, double alpha, const Tensor& x, const Tensor& y) {
    const cuda::Operands<2> o("axpy", {x, y});
    cuda::check(cuda::launch_axpy(o.extent, static_cast<float>(alpha), o.rows[0], o.rows[1], cuda::queue(ctx.stream)), "axpy", {x, y});
}

}  // namespace tandem
