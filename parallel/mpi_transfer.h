// Sends under way over MPI. Only files of parallel/ include this.
#pragma once

#include <mpi.h>

#include <deque>
#include <exception>

#include "kernels/base/arena.h"
#include "parallel/communicator.h"
#include "parallel/mpi_check.h"
#include "parallel/mpi_progress.h"
#include "parallel/whereabouts.h"

namespace tandem {

class MpiTransfer final : public Transfer {
public:
    MpiTransfer() = default;
    MpiTransfer(const MpiTransfer&) = delete;
    MpiTransfer& operator=(const MpiTransfer&) = delete;
    /// A rank that unwinds alone must reach its error message: its peer may never receive. Should it receive yet, MPI reads the tensor
    /// while this rank waits to hear of the others' ends.
    ~MpiTransfer() override {
        if (std::uncaught_exceptions() == 0) {
            const WaitingForRanks waiting;
            for (auto& request : requests_) MPI_Wait(&request, MPI_STATUS_IGNORE);
        } else if (!requests_.empty()) {
            leave_memory_to_the_system();
        }
        leave();
    }

    /// Where the next part's request goes.
    MPI_Request* add() { return &requests_.emplace_back(MPI_REQUEST_NULL); }
    /// All parts are sent. Short ones are over by now.
    void watch() {
        int done = 1;
        for (auto& request : requests_) {
            if (done) mpi_check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test of a send");
        }
        if (done) return;
        watched_ = true;
        MpiProgress::started();
    }

    void wait() override {
        const WaitingForRanks waiting;
        for (auto& request : requests_) mpi_check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait of a send");
        requests_.clear();
        leave();
    }

private:
    void leave() {
        if (watched_) MpiProgress::finished();
        watched_ = false;
    }
    bool watched_ = false;
    std::deque<MPI_Request> requests_;  // stay where they are
};

}  // namespace tandem
