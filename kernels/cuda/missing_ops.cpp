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
    return {"dropout", "bias",          "dequantize",     "embedding",  "gather_rows", "scatter_rows", "rmsnorm", "rope",
            "glu",     "cross_entropy", "sum_of_squares", "clip_scale", "adamw",       "adamw_8bit",   "sgd"};
}

void CudaBackend::dropout(Context&, const DropoutMask&, const Tensor&, const Tensor&, const Tensor&) { missing("dropout"); }
void CudaBackend::bias_add(Context&, const Tensor&, const Tensor&) { missing("bias_add"); }
void CudaBackend::bias_backward(Context&, const Tensor&, const Tensor&) { missing("bias_backward"); }
void CudaBackend::dequantize(Context&, const FourBitMatrix&, const Tensor&) { missing("dequantize"); }
void CudaBackend::embedding(Context&, const Tensor&, const Tensor&, const Tensor&) { missing("embedding"); }
void CudaBackend::embedding_backward(Context&, const Tensor&, const Tensor&, const Tensor&) { missing("embedding_backward"); }
void CudaBackend::gather_rows(Context&, const Tensor&, const Tensor&, const Tensor&) { missing("gather_rows"); }
void CudaBackend::scatter_rows(Context&, const Tensor&, const Tensor&, const Tensor&) { missing("scatter_rows"); }
void CudaBackend::rmsnorm(Context&, const RmsNorm&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) { missing("rmsnorm"); }
void CudaBackend::rmsnorm_backward(Context&, const RmsNorm&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                   Write, const Tensor&) {
    missing("rmsnorm_backward");
}
void CudaBackend::rope(Context&, Rotation, const Tensor&, const Tensor&, const Tensor&, const Tensor&) { missing("rope"); }
void CudaBackend::glu(Context&, Activation, const Tensor&, const Tensor&, const Tensor&) { missing("glu"); }
void CudaBackend::glu_backward(Context&, Activation, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
    missing("glu_backward");
}
void CudaBackend::cross_entropy(Context&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) { missing("cross_entropy"); }
void CudaBackend::cross_entropy_statistics(Context&, const Tensor&, const Tensor&, const Tensor&) { missing("cross_entropy_statistics"); }
void CudaBackend::cross_entropy_from_statistics(Context&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
    missing("cross_entropy_from_statistics");
}
void CudaBackend::sum_of_squares(Context&, const Tensor&, const Tensor&) { missing("sum_of_squares"); }
void CudaBackend::clip_scale(Context&, const Tensor&, double, double, const Tensor&, const Tensor&) { missing("clip_scale"); }
void CudaBackend::adamw(Context&, const AdamW&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
    missing("adamw");
}
void CudaBackend::adamw_8bit(Context&, const AdamW&, const Tensor&, const Tensor&, const EightBitMoments&, const Tensor&) {
    missing("adamw_8bit");
}
void CudaBackend::sgd(Context&, const Sgd&, const Tensor&, const Tensor&, const Tensor&) { missing("sgd"); }

}  // namespace tandem
