#include "kernels/ops/matmul.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/matrix_products.h"

namespace tandem {

namespace {

/// Whether cuBLASLt takes it along: its kernels read 16 bytes of the bias at once. Models' biases are such.
bool in_epilogue(const Tensor& bias) { return reinterpret_cast<std::uintptr_t>(bias.raw()) % 16 == 0 && bias.bytes() % 16 == 0; }

}  // namespace

void CudaBackend::matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    products_->run(ctx, a, b, c, alpha, write, {});
}

void CudaBackend::matmul_bias(Context& ctx, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) {
    if (in_epilogue(bias)) return products_->run(ctx, a, b, c, 1.0, Write::Overwrite, bias);
    // Accumulated onto rows of the bias: the sum is rounded once as well.
    zero(ctx, c);
    bias_add(ctx, bias, c);
    products_->run(ctx, a, b, c, 1.0, Write::Accumulate, {});
}

}  // namespace tandem
