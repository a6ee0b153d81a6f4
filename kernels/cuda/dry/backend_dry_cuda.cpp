#include "kernels/cuda/dry/backend_dry_cuda.h"

#include "kernels/cuda/scratch.h"

namespace tandem {

void DryCudaBackend::matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    DryBackend::matmul(ctx, a, b, c, alpha, write);
    const ArenaScope scope(ctx.workspace);
    cuda::take_matmul_workspace(ctx);
}

std::unique_ptr<DryBackend> make_dry_cuda_backend() { return std::make_unique<DryCudaBackend>(); }

}  // namespace tandem
