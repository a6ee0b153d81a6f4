// One communicator of NCCL's, with its errors as exceptions.
#pragma once

#include <functional>
#include <string>

#include "parallel/nccl/nccl_library.h"

namespace tandem {

class NcclComm {
public:
    /// Names a new group; any process may make it.
    [[nodiscard]] static std::string new_id(const NcclLibrary& library);

    /// Rank `rank` of the group of `ranks` ranks named `id`. Waits for the others, for a minute at most. Throws Run with NCCL's own words.
    NcclComm(const NcclLibrary& library, const std::string& id, int rank, int ranks);
    /// Waits for the others where all is well; a rank that unwinds aborts what is under way.
    ~NcclComm();
    NcclComm(const NcclComm&) = delete;
    NcclComm& operator=(const NcclComm&) = delete;

    [[nodiscard]] ncclComm_t handle() const { return comm_; }
    [[nodiscard]] const NcclLibrary& library() const { return library_; }
    /// The calls of `body` (see enqueued()) as one: they go on together, in whatever order their peers make theirs.
    void group(const char* what, const std::function<void()>& body);
    /// Throws Run where a call returned an error; waits until NCCL has taken it in.
    void check(ncclResult_t result, const char* what);
    /// The same inside of group(), where nothing starts yet.
    void enqueued(ncclResult_t result, const char* what);
    /// Throws Run where something went wrong in the background: a peer is gone, a link is down.
    void check_background();

private:
    [[noreturn]] void failed(ncclResult_t result, const char* what);
    ncclResult_t settled(double seconds);

    const NcclLibrary& library_;
    ncclComm_t comm_ = nullptr;
};

}  // namespace tandem
