#include "kernels/cuda/native/toolkit_check.h"

namespace tandem::cuda {

void check(cublasStatus_t code, std::string_view what, std::initializer_list<Tensor> operands, std::source_location where) {
    if (code == CUBLAS_STATUS_SUCCESS) return;
    fail(code == CUBLAS_STATUS_ALLOC_FAILED ? Failure::OutOfMemory : Failure::Run, "cuda: {}{}: {}: {} ({})", what, list(operands),
         cublasLtGetStatusName(code), cublasLtGetStatusString(code), place(where));
}

}  // namespace tandem::cuda
