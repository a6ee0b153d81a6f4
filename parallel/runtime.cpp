#include "parallel/runtime.h"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "parallel/launcher.h"
#include "parallel/mpi_beats.h"
#include "parallel/mpi_check.h"
#include "parallel/mpi_communicator.h"
#include "parallel/mpi_progress.h"
#include "parallel/processors.h"

namespace tandem {

std::optional<std::string> environment(const char* variable) {
    const char* value = std::getenv(variable);
    return value ? std::optional<std::string>(value) : std::nullopt;
}

namespace {

constexpr std::size_t kMessageBytes = 4096;

/// An Outcome as it travels.
struct Record {
    int code;
    char message[kMessageBytes - sizeof(int)];
};

std::string host() {
    char text[256] = {};
    if (gethostname(text, sizeof(text) - 1) != 0) fail(Failure::Run, "gethostname failed: {}", std::strerror(errno));
    return text;
}

}  // namespace

struct Runtime::Mpi {
    MPI_Comm outcomes = MPI_COMM_NULL;  ///< for exchange_outcomes alone: a rank that failed may not disturb other messages
    int thread_level = MPI_THREAD_SINGLE;
    std::unique_ptr<MpiProgress> progress;
    bool usable = true;  ///< false once an exchange timed out: finalising would wait for ranks that do not come

    Mpi() {
        int initialized = 0;
        mpi_check(MPI_Initialized(&initialized), "MPI_Initialized");
        require(!initialized, "a second Runtime in one process");
        mpi_check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &thread_level), "MPI_Init_thread");
        require(thread_level >= MPI_THREAD_FUNNELED, "this MPI library does not allow threads beside the one that calls it (level {})",
                thread_level);
        if (thread_level >= MPI_THREAD_MULTIPLE) progress = std::make_unique<MpiProgress>();
        mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &outcomes), "MPI_Comm_dup");
        mpi_check(MPI_Comm_set_errhandler(outcomes, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    }
    ~Mpi() {
        if (!usable || std::uncaught_exceptions() > 0) return;
        progress.reset();
        MPI_Comm_free(&outcomes);
        MPI_Finalize();
    }
    Mpi(const Mpi&) = delete;
    Mpi& operator=(const Mpi&) = delete;
};

Runtime::Runtime() : hostname_(host()), launched_(started_by_launcher()) {
    if (launched_) {
        mpi_ = std::make_unique<Mpi>();
        world_ = std::make_unique<MpiCommunicator>(MPI_COMM_WORLD);
        check_world_size(size());
    } else {
        world_ = make_self_communicator();
    }
    measure_share();
}

Runtime::~Runtime() {
    watchdog_.reset();
    world_.reset();
}

void Runtime::watch(WatchdogSettings settings) {
    require(!watchdog_, "a second watchdog in one process");
    WatchdogTeam team{rank(), world_->gather(hostname_), nullptr};
    if (size() > 1 && mpi_->thread_level >= MPI_THREAD_MULTIPLE) team.beats = std::make_unique<MpiBeats>(MPI_COMM_WORLD);
    const bool may_call_mpi = team.beats != nullptr;
    watchdog_ = std::make_unique<Watchdog>(std::move(settings), std::move(team), [this, may_call_mpi] {
        if (may_call_mpi) MPI_Abort(MPI_COMM_WORLD, 1);
        _exit(1);  // the launcher ends the others
    });
}

void Runtime::measure_share() {
    std::unique_ptr<Communicator> local = make_self_communicator();
    if (mpi_) {
        MPI_Comm comm = MPI_COMM_NULL;
        mpi_check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &comm), "MPI_Comm_split_type");
        local = std::make_unique<MpiCommunicator>(comm);
        mpi_check(MPI_Comm_free(&comm), "MPI_Comm_free");
    }
    local_rank_ = local->rank();
    local_size_ = local->size();
    std::vector<std::vector<int>> cpus;
    for (const auto& text : local->gather(format_cpus(affinity()))) cpus.push_back(parse_cpus(text));
    threads_ = share_of_cpus(cpus, static_cast<std::size_t>(local_rank_), cpu_quota());
    const int wished = std::atoi(environment("OMP_NUM_THREADS").value_or("0").c_str());
    if (wished > 0) threads_ = wished;
}

std::string Runtime::mpi_description() const {
    if (!mpi_) return "not started (no launcher)";
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
    int length = 0;
    mpi_check(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
    std::string version(text, static_cast<std::size_t>(length));
    version = version.substr(0, version.find_first_of(",\n"));
    const int level = mpi_->thread_level;
    const char* name = level >= MPI_THREAD_MULTIPLE ? "multiple" : level >= MPI_THREAD_SERIALIZED ? "serialized" : "funneled";
    return fmt::format("{}, thread level {}", version, name);
}

void Runtime::abort(int code) {
    std::fflush(nullptr);
    if (mpi_ && size() > 1) MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
}

std::optional<std::vector<Outcome>> Runtime::exchange_outcomes(const Outcome& mine, std::optional<double> seconds) {
    if (!mpi_) return std::vector<Outcome>{mine};
    const auto ranks = static_cast<std::size_t>(size());
    // Allocated apart from the stack: where the exchange times out, MPI may still write into them.
    auto* records = new Record[ranks + 1]();
    Record& own = records[ranks];
    own.code = mine.code;
    mine.message.copy(own.message, sizeof(own.message) - 1);
    MPI_Request request = MPI_REQUEST_NULL;
    mpi_check(MPI_Iallgather(&own, sizeof(Record), MPI_BYTE, records, sizeof(Record), MPI_BYTE, mpi_->outcomes, &request),
              "MPI_Iallgather");
    const auto start = std::chrono::steady_clock::now();
    for (int done = 0;;) {
        mpi_check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
        if (done) break;
        if (seconds && std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > *seconds) {
            mpi_->usable = false;
            return std::nullopt;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::vector<Outcome> outcomes;
    for (std::size_t r = 0; r < ranks; ++r) outcomes.push_back({records[r].code, records[r].message});
    delete[] records;
    return outcomes;
}

}  // namespace tandem
