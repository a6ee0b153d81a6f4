#include "kernels/ops/glu.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/glu.cuh"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/stream.h"

namespace tandem {

namespace {

cuda::Gate gate_of(Activation activation) { return activation == Activation::SiLU ? cuda::Gate::SiLU : cuda::Gate::GeluTanh; }

}  // namespace

void CudaBackend::glu(Context& ctx, Activation activation, const Tensor& gate, const Tensor& up, const Tensor& y) {
    const cuda::Operands<3> o("glu", {gate, up, y});
    cuda::check(cuda::launch_glu(o.extent, gate_of(activation), o.rows[0], o.rows[1], o.rows[2], cuda::queue(ctx.stream)), "glu",
                {gate, up, y});
}

void CudaBackend::glu_backward(Context& ctx, Activation activation, const Tensor& dy, const Tensor& gate, const Tensor& up,
                               const Tensor& dgate, const Tensor& dup) {
    const cuda::Operands<5> o("glu_backward", {dy, gate, up, dgate, dup});
    const cuda::GluGradient gradient{o.rows[0], o.rows[1], o.rows[2], o.rows[3], o.rows[4]};
    cuda::check(cuda::launch_glu_backward(o.extent, gate_of(activation), gradient, cuda::queue(ctx.stream)), "glu_backward",
                {dy, gate, up, dgate, dup});
}

}  // namespace tandem
