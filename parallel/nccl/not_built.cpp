// In place of NCCL's part where its header was missing when tandem was built.
#include "kernels/base/error.h"
#include "parallel/nccl/make_nccl.h"

namespace tandem {
namespace {

[[noreturn]] void not_built() {
    fail(Failure::Configuration,
         "tandem was built without NCCL: there was no nccl.h; install NCCL's headers (2.19 or newer; -DNCCL_INCLUDE_DIR=... names their "
         "directory) and build again: CMAKE_ARGS=-DTANDEM_CUDA=on launch/build");
}

}  // namespace

std::string describe_nccl() { not_built(); }

std::unique_ptr<Communicator> make_nccl_communicator(Backend& /*backend*/, std::unique_ptr<Communicator> /*control*/) { not_built(); }

std::string nccl_background_error() { return ""; }

void abort_nccl() {}

}  // namespace tandem
