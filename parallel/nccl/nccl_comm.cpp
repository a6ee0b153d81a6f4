#include "parallel/nccl/nccl_comm.h"

#include <chrono>
#include <cstring>
#include <exception>
#include <thread>

#include "kernels/base/error.h"

namespace tandem {
namespace {

/// How long ranks may wait for each other while a group is made or given back, seconds.
constexpr double kStart = 60, kEnd = 10;

}  // namespace

std::string NcclComm::new_id(const NcclLibrary& library) {
    ncclUniqueId id;
    const ncclResult_t result = library.get_unique_id(&id);
    if (result != ncclSuccess)
        fail(Failure::Run, "NCCL cannot start: {}: {}", library.get_error_string(result), library.get_last_error(nullptr));
    return {id.internal, sizeof id.internal};
}

NcclComm::NcclComm(const NcclLibrary& library, const std::string& id, int rank, int ranks) : library_(library) {
    ncclUniqueId unique;
    require(id.size() == sizeof unique.internal, "an NCCL id of {} bytes", id.size());
    std::memcpy(unique.internal, id.data(), id.size());
    ncclConfig_t config = nccl_config();
    ncclResult_t result = library.init(&comm_, ranks, unique, rank, &config);
    if (result == ncclInProgress) result = settled(kStart);
    if (result == ncclSuccess) return;
    const std::string words = fmt::format("starting NCCL among {} ranks: {}: {}", ranks, library.get_error_string(result),
                                          result == ncclInProgress ? "the other ranks have not come" : library.get_last_error(comm_));
    if (comm_ != nullptr) static_cast<void>(library.abort(comm_));
    fail(Failure::Run, "{}", words);
}

NcclComm::~NcclComm() {
    if (std::uncaught_exceptions() > 0) {
        static_cast<void>(library_.abort(comm_));
        return;
    }
    ncclResult_t result = library_.finalize(comm_);
    if (result == ncclInProgress) result = settled(kEnd);
    // Nothing is lost by an abort here: who needed what was under way has waited for it.
    static_cast<void>(result == ncclSuccess ? library_.destroy(comm_) : library_.abort(comm_));
}

/// What becomes of a call that has returned before it was complete; ncclInProgress: nothing within that time.
ncclResult_t NcclComm::settled(double seconds) {
    const auto start = std::chrono::steady_clock::now();
    for (;;) {
        ncclResult_t result = ncclSuccess;
        const ncclResult_t asked = library_.get_async_error(comm_, &result);
        if (asked != ncclSuccess) return asked;
        if (result != ncclInProgress) return result;
        if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > seconds) return ncclInProgress;
        std::this_thread::yield();
    }
}

void NcclComm::failed(ncclResult_t result, const char* what) {
    fail(Failure::Run, "{}: NCCL: {}: {}", what, library_.get_error_string(result), library_.get_last_error(comm_));
}

void NcclComm::check(ncclResult_t result, const char* what) {
    if (result == ncclInProgress) result = settled(kStart);
    if (result != ncclSuccess) failed(result, what);
}

void NcclComm::enqueued(ncclResult_t result, const char* what) {
    if (result != ncclSuccess && result != ncclInProgress) failed(result, what);
}

void NcclComm::check_background() {
    ncclResult_t result = ncclSuccess;
    const ncclResult_t asked = library_.get_async_error(comm_, &result);
    if (asked != ncclSuccess) failed(asked, "asking NCCL for errors");
    if (result != ncclSuccess && result != ncclInProgress) failed(result, "between the GPUs");
}

void NcclComm::group(const char* what, const std::function<void()>& body) {
    check(library_.group_start(), what);
    body();
    check(library_.group_end(), what);
}

}  // namespace tandem
