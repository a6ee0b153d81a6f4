// The world as trainers get it, and twins whose limits are so small that every tensor travels in many chunks and messages.
#include "parallel/mpi_communicator.h"
#include "parallel/staged_communicator.h"
#include "tests/parallel/transports.h"
#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

std::unique_ptr<Communicator> world() { return test_world().split(0, test_world().rank()); }

std::unique_ptr<Communicator> tiny_world() {
    if (!test_runtime().launched()) return world();
    return std::make_unique<MpiCommunicator>(MPI_COMM_WORLD, MpiLimits{.reduction_chunk = 1024, .message = 100});
}

Transport on_host(std::unique_ptr<Communicator> group) {
    auto backend = make_cpu_backend(1);
    auto stream = backend->make_stream();
    return {std::move(backend), std::move(stream), std::move(group)};
}

Transport staged(Communicator& host, std::size_t chunk) {
    auto backend = make_cpu_backend(1);
    auto stream = backend->make_stream();
    auto group = make_staged_communicator(*backend, host, chunk);
    return {std::move(backend), std::move(stream), std::move(group)};
}

}  // namespace

std::vector<TransportCase> transport_cases() {
    return {
        {"world", true, [] { return on_host(world()); }},
        {"tiny", true, [] { return on_host(tiny_world()); }},
        {"staged", true, [] { return staged(test_world(), kStagingChunk); }},
        {"staged_tiny", true, [] { return staged(*tiny_world(), 777); }},
    };
}

}  // namespace tandem::test
