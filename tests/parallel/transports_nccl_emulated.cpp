// All of NCCL's transport but NCCL: its library is made up, its device emulated.
#include "kernels/cuda/backend_cuda.h"
#include "parallel/nccl/nccl_communicator.h"
#include "parallel/nccl_memory.h"
#include "tests/parallel/fake_nccl.h"
#include "tests/parallel/fake_nccl_directory.h"
#include "tests/parallel/transports.h"
#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

Transport over_nccl(const DeviceOptions& options) {
    static const NcclLibrary library = fake_nccl(fake_nccl_directory());
    auto backend = std::make_unique<CudaBackend>(0, options);
    auto stream = backend->make_stream();
    auto group = std::make_unique<NcclCommunicator>(library, *backend, test_world().split(0, test_world().rank()), kNcclWorldChannels);
    return {std::move(backend), std::move(stream), std::move(group)};
}

}  // namespace

std::vector<TransportCase> transport_cases() {
    const auto with = [](const char* name, DeviceOptions options) {
        return TransportCase{.name = name,
                             .host = false,
                             .make = [options] { return over_nccl(options); },
                             .sums_everything = false,
                             .notices_sizes = false};
    };
    return {with("nccl", {}), with("nccl_graphs", {.graphs = true})};
}

}  // namespace tandem::test
