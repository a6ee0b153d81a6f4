#include "parallel/nccl/nccl_comm.h"

#include <chrono>
#include <cstring>
#include <exception>
#include <thread>

#include "kernels/base/error.h"
#include "parallel/nccl/nccl_registry.h"

namespace tandem {
namespace {

/// How long ranks may wait for each other while a group is made or given back, seconds.
constexpr double kStart = 60, kEnd = 10;
/// How long another thread waits for a call to return.
constexpr std::chrono::milliseconds kOutside{200};
constexpr const char* kBackground = "between the GPUs";

}  // namespace

std::string NcclComm::new_id(const NcclLibrary& library) {
    ncclUniqueId id;
    const ncclResult_t result = library.get_unique_id(&id);
    if (result != ncclSuccess)
        fail(Failure::Run, "NCCL cannot start: {}: {}", library.get_error_string(result), library.get_last_error(nullptr));
    return {id.internal, sizeof id.internal};
}

NcclComm::NcclComm(const NcclLibrary& library, const std::string& id, int rank, int ranks, int channels) : library_(library) {
    ncclUniqueId unique;
    require(id.size() == sizeof unique.internal, "an NCCL id of {} bytes", id.size());
    std::memcpy(unique.internal, id.data(), id.size());
    ncclConfig_t config = nccl_config(channels);
    ncclResult_t result = library.init(&comm_, ranks, unique, rank, &config);
    if (comm_ != nullptr) register_nccl(*this);
    if (result == ncclInProgress) result = settled(kStart);
    if (result == ncclSuccess) return;
    const std::string text =
        fmt::format("starting NCCL among {} ranks: {}: {}", ranks, library.get_error_string(result),
                    result == ncclInProgress ? "the other ranks have not come" : library.get_last_error(aborted_ ? nullptr : comm_));
    abort();
    fail(Failure::Run, "{}", text);
}

NcclComm::~NcclComm() {
    if (std::uncaught_exceptions() > 0) abort();
    unregister_nccl(*this);
    if (aborted_) return;
    ncclResult_t result = library_.finalize(comm_);
    if (result == ncclInProgress) result = settled(kEnd);
    // Nothing is lost by an abort here: who needed what was under way has waited for it.
    static_cast<void>(result == ncclSuccess ? library_.destroy(comm_) : library_.abort(comm_));
}

void NcclComm::abort() {
    if (comm_ == nullptr) return;
    unregister_nccl(*this);
    if (!aborted_) static_cast<void>(library_.abort(comm_));
    aborted_ = true;
}

void NcclComm::abort_from_outside() {
    const std::unique_lock lock(mutex_, kOutside);
    if (!lock || aborted_) return;
    aborted_ = true;
    static_cast<void>(library_.abort(comm_));
}

std::unique_lock<std::timed_mutex> NcclComm::usable(const char* what) {
    std::unique_lock lock(mutex_);
    if (aborted_) fail(Failure::Run, "{}: NCCL was ended, because the job is ending", what);
    return lock;
}

/// The state of the calls so far.
ncclResult_t NcclComm::ask() {
    ncclResult_t result = ncclSuccess;
    const ncclResult_t asked = library_.get_async_error(comm_, &result);
    return asked != ncclSuccess ? asked : result;
}

/// What becomes of a call that has returned before it was complete; ncclInProgress: nothing within that time.
ncclResult_t NcclComm::settled(double seconds) {
    const auto start = std::chrono::steady_clock::now();
    for (;;) {
        const ncclResult_t result = [&] {
            const std::lock_guard lock(mutex_);
            return aborted_ ? ncclSystemError : ask();
        }();
        if (result != ncclInProgress) return result;
        if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > seconds) return ncclInProgress;
        std::this_thread::yield();
    }
}

std::string NcclComm::words(ncclResult_t result, const char* what) const {
    return fmt::format("{}: NCCL: {}: {}", what, library_.get_error_string(result), library_.get_last_error(comm_));
}

void NcclComm::failed(ncclResult_t result, const char* what) const { fail(Failure::Run, "{}", words(result, what)); }

void NcclComm::call(const char* what, const std::function<ncclResult_t()>& body) {
    ncclResult_t result = [&] {
        const auto lock = usable(what);
        return body();
    }();
    if (result == ncclInProgress) result = settled(kStart);
    if (result == ncclSuccess) return;
    if (result == ncclInProgress) fail(Failure::Run, "{}: NCCL: the other ranks have not come after {} s", what, kStart);
    const auto lock = usable(what);
    failed(result, what);
}

void NcclComm::enqueued(ncclResult_t result, const char* what) {
    if (result != ncclSuccess && result != ncclInProgress) failed(result, what);
}

void NcclComm::check_background() {
    const auto lock = usable(kBackground);
    const ncclResult_t result = ask();
    if (result != ncclSuccess && result != ncclInProgress) failed(result, kBackground);
}

std::string NcclComm::background_error() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || aborted_) return "";
    const ncclResult_t result = ask();
    return result == ncclSuccess || result == ncclInProgress ? "" : words(result, kBackground);
}

void NcclComm::group(const char* what, const std::function<void()>& body) {
    call(what, [&] {
        const ncclResult_t started = library_.group_start();
        if (started != ncclSuccess) return started;
        body();
        return library_.group_end();
    });
}

}  // namespace tandem
