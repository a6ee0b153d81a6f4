#include "kernels/cuda/check.h"

#include <cstdio>
#include <string>

namespace tandem::cuda {

namespace {

std::string list(std::initializer_list<Tensor> operands) {
    std::string out;
    for (const Tensor& x : operands) {
        out += out.empty() ? " of " : ", ";
        out += x.str();
        if (!x.contiguous()) out += fmt::format(" (rows {} apart)", x.row_stride());
    }
    return out;
}

/// "kernels/cuda/matmul.cpp:31", without the directories that depend on who compiled.
std::string place(const std::source_location& where) {
    const std::string_view file = where.file_name();
    const auto start = file.rfind("kernels/cuda/");
    return fmt::format("{}:{}", start == std::string_view::npos ? file : file.substr(start), where.line());
}

/// Errors that leave the device unusable for this process, found out at whatever call comes next.
bool belongs_to_earlier_work(cudaError_t code) {
    return code == cudaErrorIllegalAddress || code == cudaErrorMisalignedAddress || code == cudaErrorIllegalInstruction ||
           code == cudaErrorLaunchFailure || code == cudaErrorAssert || code == cudaErrorHardwareStackError ||
           code == cudaErrorECCUncorrectable || code == cudaErrorLaunchTimeout;
}

}  // namespace

void check(cudaError_t code, std::string_view what, std::initializer_list<Tensor> operands, std::source_location where) {
    if (code == cudaSuccess) return;
    cudaGetLastError();  // forgets it, where CUDA can: the next check would report it again
    fail(code == cudaErrorMemoryAllocation ? Failure::OutOfMemory : Failure::Run, "cuda: {}{}: {}: {} ({}){}", what, list(operands),
         cudaGetErrorName(code), cudaGetErrorString(code), place(where),
         belongs_to_earlier_work(code) ? "; the cause may be an op before this one: CUDA_LAUNCH_BLOCKING=1 reports it where it happens"
                                       : "");
}

void check(cublasStatus_t code, std::string_view what, std::initializer_list<Tensor> operands, std::source_location where) {
    if (code == CUBLAS_STATUS_SUCCESS) return;
    fail(code == CUBLAS_STATUS_ALLOC_FAILED ? Failure::OutOfMemory : Failure::Run, "cuda: {}{}: {}: {} ({})", what, list(operands),
         cublasLtGetStatusName(code), cublasLtGetStatusString(code), place(where));
}

void report(cudaError_t code, const char* what) noexcept {
    if (code != cudaSuccess) std::fprintf(stderr, "tandem: %s: %s\n", what, cudaGetErrorString(code));
}

}  // namespace tandem::cuda
