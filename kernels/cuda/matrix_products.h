// Matrix products of a device, behind one interface: cuBLASLt's (kernels/cuda/native/), plain loops in the emulator.
#pragma once

#include <memory>

#include "kernels/base/backend.h"

namespace tandem::cuda {

class MatrixProducts {
public:
    virtual ~MatrixProducts() = default;
    /// c = alpha a b (+ c) (+ bias in every row, where there is one, of c's type), a and b both fp32, both bf16 or both fp16, c fp32 or
    /// that type. Sums in fp32, rounded once; fp32 is never rounded to TF32. Takes kMatmulWorkspace bytes of ctx.workspace (scratch.h).
    virtual void run(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write, const Tensor& bias) = 0;
};

/// For the device that is selected. Throws Run where its library cannot be started.
std::unique_ptr<MatrixProducts> make_matrix_products();

}  // namespace tandem::cuda
