// Sends under way over MPI. Only files of parallel/ include this.
#pragma once

#include <mpi.h>

#include <deque>
#include <exception>

#include "parallel/communicator.h"
#include "parallel/mpi_check.h"

namespace tandem {

class MpiTransfer final : public Transfer {
public:
    MpiTransfer() = default;
    MpiTransfer(const MpiTransfer&) = delete;
    MpiTransfer& operator=(const MpiTransfer&) = delete;
    /// A rank that unwinds alone must reach its error message: its peer may never receive.
    ~MpiTransfer() override {
        if (std::uncaught_exceptions() > 0) return;
        for (auto& request : requests_) MPI_Wait(&request, MPI_STATUS_IGNORE);
    }

    /// Where the next part's request goes.
    MPI_Request* add() { return &requests_.emplace_back(MPI_REQUEST_NULL); }

    void wait() override {
        for (auto& request : requests_) mpi_check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait of a send");
        requests_.clear();
    }

private:
    std::deque<MPI_Request> requests_;  // stay where they are
};

}  // namespace tandem
