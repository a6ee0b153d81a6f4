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
    return {"dequantize", "rmsnorm", "attention", "cross_entropy", "sum_of_squares", "clip_scale", "adamw", "adamw_8bit", "sgd"};
}

void CudaBackend::dequantize(Context&, const FourBitMatrix&, const Tensor&) { missing("dequantize"); }
void CudaBackend::rmsnorm(Context&, const RmsNorm&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) { missing("rmsnorm"); }
void CudaBackend::rmsnorm_backward(Context&, const RmsNorm&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                   Write, const Tensor&) {
    missing("rmsnorm_backward");
}
void CudaBackend::attention(Context&, const Attention&, const Segments&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                            const Tensor&) {
    missing("attention");
}
void CudaBackend::attention_backward(Context&, const Attention&, const Segments&, const Tensor&, const Tensor&, const Tensor&,
                                     const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
    missing("attention_backward");
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
