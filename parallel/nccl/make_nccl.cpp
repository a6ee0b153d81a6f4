#include "parallel/nccl/make_nccl.h"

#include "parallel/nccl/nccl_communicator.h"
#include "parallel/nccl_memory.h"

namespace tandem {
namespace {

const NcclLibrary& library() {
    static const NcclLibrary opened = open_nccl();
    return opened;
}

}  // namespace

std::string describe_nccl() { return describe(library()); }

std::unique_ptr<Communicator> make_nccl_communicator(Backend& backend, std::unique_ptr<Communicator> control) {
    return std::make_unique<NcclCommunicator>(library(), backend, std::move(control), kNcclWorldChannels);
}

}  // namespace tandem
