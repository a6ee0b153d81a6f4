// The process among its peers: start and end of MPI, the environment, the machine, and how a job of several ranks fails.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/watchdog.h"

namespace tandem {

/// A variable of the environment. This file is the only one that reads it.
[[nodiscard]] std::optional<std::string> environment(const char* variable);

/// How a rank ended its work: the exit code and, if that is not 0, why.
struct Outcome {
    int code = 0;
    std::string message;
};

/// One per process, in main. MPI is started only where a launcher (mpirun, srun) started this process, so that one rank
/// alone needs nothing of it. Throws Failure::Configuration where srun started several tasks that do not know of each other.
class Runtime {
public:
    Runtime();
    ~Runtime();  ///< ends MPI, together with the other ranks
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    [[nodiscard]] Communicator& world() { return *world_; }
    [[nodiscard]] int rank() const { return world_->rank(); }
    [[nodiscard]] int size() const { return world_->size(); }
    [[nodiscard]] int local_rank() const { return local_rank_; }  ///< among the ranks of this host
    [[nodiscard]] int local_size() const { return local_size_; }
    [[nodiscard]] const std::string& hostname() const { return hostname_; }
    [[nodiscard]] bool launched() const { return launched_; }  ///< by mpirun or srun

    /// OMP_NUM_THREADS where it is set; else the CPUs this process may use, divided among the ranks of this host that may use
    /// the same ones. At least 1.
    [[nodiscard]] int threads_per_rank() const { return threads_; }
    /// "Open MPI v4.1.4, thread level funneled"; "not started" without a launcher.
    [[nodiscard]] std::string mpi_description() const;

    /// From now on ranks that stall end the job, see Watchdog. Once at most; collective.
    void watch(WatchdogSettings settings);

    /// Ends all ranks with this exit code, now. Destructors do not run.
    [[noreturn]] void abort(int code);

    /// Every rank's outcome, in rank order, if all ranks call this within `seconds` (none: waits for ever); nothing otherwise,
    /// and then the job can only be aborted. Collective, but apart from all other communication.
    std::optional<std::vector<Outcome>> exchange_outcomes(const Outcome& mine, std::optional<double> seconds);

private:
    struct Mpi;
    void measure_share();
    std::unique_ptr<Mpi> mpi_;
    std::unique_ptr<Communicator> world_;
    std::string hostname_;
    bool launched_ = false;
    int local_rank_ = 0;
    int local_size_ = 1;
    int threads_ = 1;
    std::unique_ptr<Watchdog> watchdog_;
};

/// Runs `work` and turns what it throws into the job's exit code (Failure's value; bad_alloc 4; anything else 1) and one
/// message on stderr, `tandem: error: ...`. If every rank fails, rank 0 speaks for all and all return the code; a rank that
/// fails alone names itself and its host and ends the job with its code, whatever the others are waiting in.
int run_ranks(Runtime& runtime, const std::function<int()>& work);

/// The same for a failure before there is a Runtime: the message of `error`, as the tasks of srun would each print it, from
/// task 0 only; returns the exit code.
int report_start_failure(const std::exception& error);

}  // namespace tandem
