// One communicator of NCCL's, with its errors as exceptions.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "parallel/nccl/nccl_library.h"

namespace tandem {

/// One thread makes the group's calls; the watchdog's may ask for errors, and abort it. NCCL allows neither inside of a call of the
/// other's.
class NcclComm {
public:
    /// Names a new group; any process may make it.
    [[nodiscard]] static std::string new_id(const NcclLibrary& library);

    /// Rank `rank` of the group of `ranks` ranks named `id`, over at most `channels` channels (parallel/nccl_memory.h). Waits for the
    /// others, for a minute at most. Throws Run with NCCL's own words.
    NcclComm(const NcclLibrary& library, const std::string& id, int rank, int ranks, int channels);
    /// Waits for the others where all is well; a rank that unwinds aborts what is under way.
    ~NcclComm();
    NcclComm(const NcclComm&) = delete;
    NcclComm& operator=(const NcclComm&) = delete;

    [[nodiscard]] ncclComm_t handle() const { return comm_; }
    [[nodiscard]] const NcclLibrary& library() const { return library_; }
    /// Makes the call and waits until NCCL has taken it in. Throws Run where it returns an error.
    void call(const char* what, const std::function<ncclResult_t()>& body);
    /// The calls of `body` (see enqueued()) as one: they go on together, in whatever order their peers make theirs.
    void group(const char* what, const std::function<void()>& body);
    /// Inside of group(), where nothing starts yet: throws Run where a call returned an error.
    void enqueued(ncclResult_t result, const char* what);
    /// Throws Run where something went wrong in the background: a peer is gone, a link is down.
    void check_background();

    /// What check_background() would throw, or nothing. From another thread; nothing, too, while a call is under way.
    [[nodiscard]] std::string background_error();
    /// From another thread, to end whatever this group is waiting in; later calls throw Run. Leaves a group alone that is inside of a call.
    void abort_from_outside();

private:
    [[nodiscard]] std::string words(ncclResult_t result, const char* what) const;
    [[noreturn]] void failed(ncclResult_t result, const char* what) const;
    std::unique_lock<std::timed_mutex> usable(const char* what);
    ncclResult_t ask();
    ncclResult_t settled(double seconds);  ///< does not throw: destructors wait, too
    void abort();

    const NcclLibrary& library_;
    std::timed_mutex mutex_;  ///< around every call of NCCL's with comm_
    ncclComm_t comm_ = nullptr;
    bool aborted_ = false;
};

}  // namespace tandem
