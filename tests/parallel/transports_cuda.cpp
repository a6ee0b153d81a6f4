// Transports between real GPUs, those of libtandem_cuda.so. Several ranks on one GPU: NCCL 2.30 and newer with
// NCCL_MULTI_RANK_GPU_ENABLE=1.
#include "kernels/loader/cuda.h"
#include "parallel/staged_communicator.h"
#include "parallel/transport_plugin.h"
#include "tests/parallel/transports.h"
#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

/// Beside the test, as in a bundle (launch/bundle), or where the build has it.
CudaFiles files() {
    CudaFiles beside;
    if (std::filesystem::exists(beside.part)) return beside;
    return {TANDEM_CUDA_PART};
}

int devices() { return static_cast<int>(open_cuda(files()).examine(Examine::Facts).devices.size()); }

std::unique_ptr<Backend> gpu() { return make_cuda_backend(test_runtime().local_rank() % devices(), {}, files()); }

const TransportPlugin& plugin() { return transport_plugin(find_entry(files().part, kTransportEntry)); }

std::string why_no_gpu() {
    try {
        static_cast<void>(gpu());
        return "";
    } catch (const Error& error) {
        return fmt::format("no GPU to test on: {}", error.what());
    }
}

std::string why_no_nccl() {
    if (auto reason = why_no_gpu(); !reason.empty()) return reason;
    if (test_runtime().local_size() > devices() && !environment("NCCL_MULTI_RANK_GPU_ENABLE"))
        return fmt::format("{} ranks, {} GPUs, and no NCCL_MULTI_RANK_GPU_ENABLE=1", test_runtime().local_size(), devices());
    try {
        static_cast<void>(plugin().describe());
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

Transport over(const std::function<std::unique_ptr<Communicator>(Backend&)>& transport) {
    auto backend = gpu();
    auto stream = backend->make_stream();
    auto group = transport(*backend);
    return {std::move(backend), std::move(stream), std::move(group)};
}

}  // namespace

std::vector<TransportCase> transport_cases() {
    const auto staged = [](std::size_t chunk) {
        return [chunk] { return over([chunk](Backend& backend) { return make_staged_communicator(backend, test_world(), chunk); }); };
    };
    const auto nccl = [] {
        return over([](Backend& backend) { return plugin().make(backend, test_world().split(0, test_world().rank())); });
    };
    return {
        {.name = "staged", .host = false, .make = staged(kStagingChunk), .why_not = why_no_gpu},
        {.name = "staged_tiny", .host = false, .make = staged(777), .why_not = why_no_gpu},
        {.name = "nccl", .host = false, .make = nccl, .sums_everything = false, .notices_sizes = false, .why_not = why_no_nccl},
    };
}

}  // namespace tandem::test
