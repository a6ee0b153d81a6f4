// Staging with a device whose memory the host cannot touch and whose streams run as late as they may.
#include "kernels/cuda/backend_cuda.h"
#include "parallel/staged_communicator.h"
#include "tests/parallel/transports.h"
#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

Transport staged(std::size_t chunk, const DeviceOptions& options = {}) {
    auto backend = std::make_unique<CudaBackend>(0, options);
    auto stream = backend->make_stream();
    auto group = make_staged_communicator(*backend, test_world(), chunk);
    return {std::move(backend), std::move(stream), std::move(group)};
}

}  // namespace

std::vector<TransportCase> transport_cases() {
    return {
        {"staged", false, [] { return staged(kStagingChunk); }},
        {"staged_16kb", false, [] { return staged(16384); }},
        {"staged_tiny", false, [] { return staged(777); }},
        {"staged_graphs", false, [] { return staged(777, {.graphs = true}); }},
    };
}

}  // namespace tandem::test
