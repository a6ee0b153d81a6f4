#include "kernels/cuda/backend_cuda.h"
#include "tests/kernels/candidates.h"
#include "tests/kernels/op_case.h"
#include "tests/support/emulator/emulator.h"

namespace tandem::test {

namespace {

std::unique_ptr<Backend> emulated(emulator::Order order, const DeviceOptions& options) {
    emulator::set_order(order);
    return std::make_unique<CudaBackend>(0, options);
}

}  // namespace

std::vector<Candidate> candidates() {
    return {{"emulated", [] { return emulated(emulator::Order::Forward, {}); }, {DType::F32, DType::BF16, DType::F16}},
            {"emulated_library",
             [] { return emulated(emulator::Order::Forward, {.attention = AttentionKernels::Cudnn}); },
             {DType::BF16},
             [] { return ""; },
             "attention"},
            // Results that depend on which thread comes first show here, and operands that are gone before a call is passed on.
            {"emulated_shuffled", [] { return emulated(emulator::Order::Shuffled, {.graphs = true}); }, {DType::BF16}}};
}

}  // namespace tandem::test
