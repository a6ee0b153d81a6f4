// MPI moves large messages only while somebody is in an MPI call; a rank that computes is not. A thread that looks in now and then while
// sends are under way lets them go on.
#pragma once

#include <mpi.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace tandem {

/// One a process, between MPI_Init_thread (MPI_THREAD_MULTIPLE) and MPI_Finalize. Its thread makes no call that could meet a message.
class MpiProgress {
public:
    MpiProgress();
    ~MpiProgress();
    MpiProgress(const MpiProgress&) = delete;
    MpiProgress& operator=(const MpiProgress&) = delete;

    /// A send is under way, or no longer. Does nothing where no MpiProgress exists. Callable from one thread.
    static void started();
    static void finished();

private:
    void run();

    MPI_Comm own_ = MPI_COMM_NULL;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::int64_t under_way_ = 0;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace tandem
