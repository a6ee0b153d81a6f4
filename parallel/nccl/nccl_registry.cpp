#include "parallel/nccl/nccl_registry.h"

#include <mutex>
#include <vector>

#include "parallel/nccl/make_nccl.h"
#include "parallel/nccl/nccl_comm.h"

namespace tandem {
namespace {

std::mutex mutex;
std::vector<NcclComm*> all;

}  // namespace

void register_nccl(NcclComm& comm) {
    const std::lock_guard lock(mutex);
    all.push_back(&comm);
}

void unregister_nccl(NcclComm& comm) {
    const std::lock_guard lock(mutex);
    std::erase(all, &comm);
}

std::string nccl_background_error() {
    const std::lock_guard lock(mutex);
    for (NcclComm* comm : all) {
        if (std::string words = comm->background_error(); !words.empty()) return words;
    }
    return "";
}

void abort_nccl() {
    const std::lock_guard lock(mutex);
    for (NcclComm* comm : all) comm->abort_from_outside();
}

}  // namespace tandem
