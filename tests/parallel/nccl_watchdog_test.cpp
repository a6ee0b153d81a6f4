// What a watchdog's thread does with NCCL's communicators while another thread uses them: asks for errors, aborts each once, and ends a
// process that hangs in one. The library is made up.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

#include "kernels/base/error.h"
#include "parallel/live_transport.h"
#include "parallel/mpi_beats.h"
#include "parallel/nccl/make_nccl.h"
#include "parallel/nccl/nccl_comm.h"
#include "parallel/nccl_memory.h"
#include "parallel/watchdog.h"

namespace {

using namespace tandem;

const std::string kId(NCCL_UNIQUE_ID_BYTES, 'x');

std::atomic<ncclResult_t> state;  ///< of all communicators
std::mutex counting;
std::map<ncclComm_t, int> aborted, destroyed;

ncclResult_t count(std::map<ncclComm_t, int>& where, ncclComm_t comm) {
    const std::lock_guard lock(counting);
    ++where[comm];
    return ncclSuccess;
}

const NcclLibrary& library() {
    static const NcclLibrary made_up = [] {
        NcclLibrary l;
        l.get_error_string = [](ncclResult_t) { return "remote process exited or there was a network error"; };
        l.get_last_error = [](ncclComm_t) { return "connection closed by peer"; };
        l.init = [](ncclComm_t* comm, int, ncclUniqueId, int, ncclConfig_t*) {
            static std::intptr_t number = 0;
            *comm = reinterpret_cast<ncclComm_t>(++number);
            return ncclInProgress;
        };
        l.get_async_error = [](ncclComm_t, ncclResult_t* result) {
            *result = state;
            return ncclSuccess;
        };
        l.finalize = [](ncclComm_t) { return ncclSuccess; };
        l.destroy = [](ncclComm_t comm) { return count(destroyed, comm); };
        l.abort = [](ncclComm_t comm) {
            std::fprintf(stderr, "aborted %ld\n", static_cast<long>(reinterpret_cast<std::intptr_t>(comm)));
            return count(aborted, comm);
        };
        return l;
    }();
    return made_up;
}

class NcclWatchdog : public testing::Test {
protected:
    NcclWatchdog() {
        GTEST_FLAG_SET(death_test_style, "threadsafe");
        state = ncclSuccess;
        aborted.clear(), destroyed.clear();
    }
};

/// A call that does not return before it is let go.
struct HungCall {
    std::atomic<bool> entered = false, let_go = false;
    ncclResult_t operator()() {
        for (entered = true; !let_go;) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return ncclSuccess;
    }
};

TEST_F(NcclWatchdog, SeesAnErrorThatAppearsWhileTheHostWaitsElsewhere) {
    NcclComm comm(library(), kId, 0, 2, kNcclChannels);
    EXPECT_EQ(nccl_background_error(), "");
    state = ncclRemoteError;
    EXPECT_EQ(nccl_background_error(),
              "between the GPUs: NCCL: remote process exited or there was a network error: connection closed by peer");
    state = ncclInProgress;
    EXPECT_EQ(nccl_background_error(), "") << "a call that is not complete is no error";
    state = ncclSuccess;
}

TEST_F(NcclWatchdog, AbortsEveryLiveCommunicatorOnceAndNoOther) {
    {
        NcclComm a(library(), kId, 0, 2, kNcclChannels), b(library(), kId, 0, 2, kNcclChannels);
        ncclComm_t gone = nullptr;
        {
            NcclComm brief(library(), kId, 0, 2, kNcclChannels);
            gone = brief.handle();
        }
        abort_nccl();
        abort_nccl();
        EXPECT_EQ(aborted, (std::map<ncclComm_t, int>{{a.handle(), 1}, {b.handle(), 1}}));
        EXPECT_EQ(destroyed, (std::map<ncclComm_t, int>{{gone, 1}}));
        EXPECT_EQ(nccl_background_error(), "");
        EXPECT_THROW(a.call("send", [] { return ncclSuccess; }), Error);
        EXPECT_THROW(b.check_background(), Error);
    }
    EXPECT_EQ(aborted.size(), 2U) << "they were given back after they had been aborted";
    EXPECT_EQ(destroyed.size(), 1U);
}

TEST_F(NcclWatchdog, LeavesACommunicatorAloneThatIsInsideOfACall) {
    NcclComm busy(library(), kId, 0, 2, kNcclChannels), idle(library(), kId, 0, 2, kNcclChannels);
    HungCall hung;
    std::thread working([&] { busy.call("send", [&] { return hung(); }); });
    while (!hung.entered) std::this_thread::yield();
    state = ncclRemoteError;
    EXPECT_NE(nccl_background_error(), "") << "the idle one is asked";
    state = ncclSuccess;
    abort_nccl();
    EXPECT_EQ(aborted, (std::map<ncclComm_t, int>{{idle.handle(), 1}}));
    hung.let_go = true;
    working.join();
}

constexpr TransportPlugin kPlugin = {"", nullptr, nullptr, nccl_background_error, abort_nccl};

/// One rank's process, watched, with two communicators; `work` does not return.
void watched(const std::function<void(NcclComm&)>& work) {
    NcclComm a(library(), kId, 0, 2, kNcclChannels), b(library(), kId, 0, 2, kNcclChannels);
    set_live_transport(&kPlugin);
    const Watchdog watchdog({.deadline = 1}, {0, {"hostA"}, nullptr}, [] { _exit(1); });
    const InPhase training(Phase::Training);
    Whereabouts::here().set_step(7);
    const InInstruction here({.op = Op::Backward, .micro_batch = 5}, 0, 1);
    work(a);
}

TEST_F(NcclWatchdog, AHostThatWaitsForItsDeviceLearnsThatAPeerIsGone) {
    const auto wait = [](NcclComm&) {
        state = ncclRemoteError;
        Whereabouts::here().enter(Phase::Loading, Whereabouts::now());  // with time enough
        std::this_thread::sleep_for(std::chrono::seconds(60));
    };
    EXPECT_EXIT(
        watched(wait), testing::ExitedWithCode(1),
        "tandem: error: rank 0 on hostA in loading the model: between the GPUs: NCCL: remote process exited or there was a network error: "
        "connection closed by peer\naborted 1\naborted 2\n$");
}

TEST_F(NcclWatchdog, ACallThatHangsIsEndedByTheDeadline) {
    const auto hang = [](NcclComm& comm) {
        HungCall hung;
        comm.call("send", [&] { return hung(); });
    };
    EXPECT_EXIT(watched(hang), testing::ExitedWithCode(1),
                "tandem: error: rank 0 on hostA stalled in backward of micro-batch 5 of step 7 for [0-9]+ s; its deadline was 1 s "
                ".watchdog.deadline."
                "\naborted 2\n$");
}

}  // namespace
