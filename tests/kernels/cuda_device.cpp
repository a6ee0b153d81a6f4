#include "tests/kernels/cuda_device.h"

#include "kernels/loader/cuda.h"

namespace tandem::test {

namespace {

/// Beside the test, as in a bundle (launch/bundle), or where the build has it.
CudaFiles files() {
    CudaFiles beside;
    if (std::filesystem::exists(beside.part)) return beside;
    return {TANDEM_CUDA_PART};
}

}  // namespace

std::string why_no_cuda() {
    static const std::string reason = [] {
        try {
            static_cast<void>(make_cuda());
            return std::string();
        } catch (const Error& error) {
            return fmt::format("no GPU to test on: {}", error.what());
        }
    }();
    return reason;
}

std::unique_ptr<Backend> make_cuda(const DeviceOptions& options) { return make_cuda_backend(0, options, files()); }

std::string why_no_cudnn() {
    static const std::string reason = [] {
        if (std::string no_cuda = why_no_cuda(); !no_cuda.empty()) return no_cuda;
        try {
            static_cast<void>(make_cuda({.attention = AttentionKernels::Cudnn}));
            return std::string();
        } catch (const Error& error) {
            return fmt::format("no cuDNN to test: {}", error.what());
        }
    }();
    return reason;
}

}  // namespace tandem::test
