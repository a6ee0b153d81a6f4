#include "parallel/mpi_progress.h"

#include <chrono>

#include "kernels/base/error.h"
#include "parallel/mpi_check.h"

namespace tandem {
namespace {

/// Between two looks: short beside a message of a megabyte, long beside a look.
constexpr std::chrono::microseconds kPause{50};

MpiProgress* instance = nullptr;

}  // namespace

MpiProgress::MpiProgress() {
    require(instance == nullptr, "a second MpiProgress in one process");
    mpi_check(MPI_Comm_dup(MPI_COMM_SELF, &own_), "MPI_Comm_dup");
    mpi_check(MPI_Comm_set_errhandler(own_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    thread_ = std::thread([this] { run(); });
    instance = this;
}

MpiProgress::~MpiProgress() {
    instance = nullptr;
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_one();
    thread_.join();
    if (std::uncaught_exceptions() == 0) MPI_Comm_free(&own_);
}

void MpiProgress::started() {
    if (!instance) return;
    {
        const std::lock_guard lock(instance->mutex_);
        ++instance->under_way_;
    }
    instance->changed_.notify_one();
}

void MpiProgress::finished() {
    if (!instance) return;
    const std::lock_guard lock(instance->mutex_);
    --instance->under_way_;
}

void MpiProgress::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stop_ || under_way_ > 0; });
        if (stop_) return;
        lock.unlock();
        int found = 0;
        // Nobody sends in this group: the call only gives the library its turn. Its failure shows in the send's own call.
        const int ignored = MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, own_, &found, MPI_STATUS_IGNORE);
        static_cast<void>(ignored);
        std::this_thread::sleep_for(kPause);
        lock.lock();
    }
}

}  // namespace tandem
