// The ops that this version does not have for GPUs: one row each, taken out when kernels/cuda/ gets the op's file.
#include <string_view>

#include "kernels/cuda/backend_cuda.h"

namespace tandem {

namespace {

[[noreturn]] void missing(std::string_view op) {
    fail(Failure::Configuration, "{}: this version of tandem has no such op for GPUs; use device.backend = cpu", op);
}

}  // namespace

std::vector<std::string> CudaBackend::missing_ops() {
    return {
        "dropout", "bias", "embedding", "gather_rows", "scatter_rows", "rope", "attention", "glu",
    };
}

void CudaBackend::dropout(Context&, const DropoutMask&, const Tensor&, const Tensor&, const Tensor&) { missing("dropout"); }
void CudaBackend::bias_add(Context&, const Tensor&, const Tensor&) { missing("bias_add"); }
void CudaBackend::bias_backward(Context&, const Tensor&, const Tensor&) { missing("bias_backward"); }
void CudaBackend::embedding(Context&, const Tensor&, const Tensor&, const Tensor&) { missing("embedding"); }
void CudaBackend::embedding_backward(Context&, const Tensor&, const Tensor&, const Tensor&) { missing("embedding_backward"); }
void CudaBackend::gather_rows(Context&, const Tensor&, const Tensor&, const Tensor&) { missing("gather_rows"); }
void CudaBackend::scatter_rows(Context&, const Tensor&, const Tensor&, const Tensor&) { missing("scatter_rows"); }
void CudaBackend::rope(Context&, Rotation, const Tensor&, const Tensor&, const Tensor&, const Tensor&) { missing("rope"); }
void CudaBackend::attention(Context&, const Attention&, const Segments&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                            const Tensor&) {
    missing("attention");
}
void CudaBackend::attention_backward(Context&, const Attention&, const Segments&, const Tensor&, const Tensor&, const Tensor&,
                                     const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
    missing("attention_backward");
}
void CudaBackend::glu(Context&, Activation, const Tensor&, const Tensor&, const Tensor&) { missing("glu"); }
void CudaBackend::glu_backward(Context&, Activation, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
    missing("glu_backward");
}

}  // namespace tandem
