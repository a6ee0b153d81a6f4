#include "kernels/ops/matmul.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/matrix_products.h"

namespace tandem {

void CudaBackend::matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    products_->run(ctx, a, b, c, alpha, write);
}

}  // namespace tandem
