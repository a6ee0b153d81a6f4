// The ops that this version does not have for GPUs: one row each, taken out when kernels/cuda/ gets the op's file.
#include <string_view>

#include "kernels/cuda/backend_cuda.h"

namespace tandem {

namespace {

[[noreturn]] void missing(std::string_view op) {
    fail(Failure::Configuration, "{}: this version of tandem has no such op for GPUs; use device.backend = cpu", op);
}

}  // namespace

std::vector<std::string> CudaBackend::missing_ops() { return {"attention"}; }

void CudaBackend::attention(Context&, const Attention&, const Segments&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                            const Tensor&) {
    missing("attention");
}
void CudaBackend::attention_backward(Context&, const Attention&, const Segments&, const Tensor&, const Tensor&, const Tensor&,
                                     const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
    missing("attention_backward");
}

}  // namespace tandem
