// The cuda backend without its work and without a GPU: counts, and takes from the workspace what the GPU's ops take
// (kernels/cuda/scratch.h). tests/kernels compares the two, op by op, on the emulator.
#pragma once

#include "kernels/dry/backend_dry.h"

namespace tandem {

class DryCudaBackend final : public DryBackend {
public:
    explicit DryCudaBackend(AttentionKernels attention) : attention_(attention) {}

    [[nodiscard]] std::string_view name() const override { return "cuda"; }
    [[nodiscard]] bool supports(DType compute) const override {
        return compute == DType::F32 || compute == DType::BF16 || compute == DType::F16;
    }

    void matmul(Context&, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) override;
    void matmul_bias(Context&, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) override;
    void bias_backward(Context&, const Tensor& dy, const Tensor& dbias) override;
    void embedding_backward(Context&, const Tensor& dy, const Tensor& ids, const Tensor& dtable) override;
    void rmsnorm_backward(Context&, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& rstd,
                          const Tensor& dx, Write write, const Tensor& dw) override;
    void attention(Context&, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k, const Tensor& v,
                   const Tensor& o, const Tensor& lse) override;
    void attention_backward(Context&, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                            const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq, const Tensor& dk,
                            const Tensor& dv) override;
    void cross_entropy(Context&, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) override;
    void cross_entropy_from_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                       const Tensor& loss_sum, const Tensor& dlogits) override;
    void sum_of_squares(Context&, const Tensor& x, const Tensor& sum) override;

private:
    AttentionKernels attention_;
};

}  // namespace tandem
