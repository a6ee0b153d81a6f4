// The cuda backend without its work and without a GPU: counts, and takes from the workspace what the GPU's ops take
// (kernels/cuda/scratch.h). tests/kernels compares the two, op by op, on the emulator.
#pragma once

#include "kernels/dry/backend_dry.h"

namespace tandem {

class DryCudaBackend final : public DryBackend {
public:
    [[nodiscard]] std::string_view name() const override { return "cuda"; }
    [[nodiscard]] bool supports(DType compute) const override {
        return compute == DType::F32 || compute == DType::BF16 || compute == DType::F16;
    }

    void matmul(Context&, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) override;
};

}  // namespace tandem
