// What is said where NCCL cannot be used.
#include "parallel/nccl/nccl_library.h"

#include <gtest/gtest.h>

#include "kernels/base/error.h"
#include "parallel/nccl/nccl_comm.h"
#include "parallel/nccl_memory.h"

namespace {

using namespace tandem;

void expect_refused(const char* file, const std::string& part) {
    try {
        static_cast<void>(open_nccl(file));
        ADD_FAILURE() << file << " was opened";
    } catch (const Error& error) {
        const std::string text = error.what();
        EXPECT_EQ(error.failure(), Failure::Configuration);
        EXPECT_NE(text.find(part), std::string::npos) << text;
        EXPECT_NE(text.find("install NCCL 2.19 or newer"), std::string::npos) << text;
        EXPECT_NE(text.find("parallel.transport = staged needs no NCCL"), std::string::npos) << text;
    }
}

TEST(NcclLibrary, WhatIsMissingIsNamed) {
    expect_refused("libnccl-absent.so.2", "NCCL cannot be opened: libnccl-absent.so.2: cannot open shared object file");
    expect_refused("libm.so.6", "libm.so.6 has no ncclGetVersion");
}

/// A library of which only what a test sets works.
NcclLibrary made_up() {
    NcclLibrary library;
    library.get_error_string = [](ncclResult_t) { return "unhandled cuda error"; };
    library.get_last_error = [](ncclComm_t) { return "no CUDA-capable device is detected"; };
    library.get_async_error = [](ncclComm_t, ncclResult_t* result) {
        *result = ncclSuccess;
        return ncclSuccess;
    };
    library.abort = [](ncclComm_t) { return ncclSuccess; };
    return library;
}

void expect_run_error(const std::function<void()>& f, const std::string& text) {
    try {
        f();
        ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Run);
        EXPECT_EQ(std::string(error.what()), text);
    }
}

const std::string kId(NCCL_UNIQUE_ID_BYTES, 'x');

TEST(NcclLibrary, ItsOwnWordsArePassedOn) {
    NcclLibrary library = made_up();
    library.get_unique_id = [](ncclUniqueId*) { return ncclUnhandledCudaError; };
    expect_run_error([&] { static_cast<void>(NcclComm::new_id(library)); },
                     "NCCL cannot start: unhandled cuda error: no CUDA-capable device is detected");
    library.init = [](ncclComm_t*, int, ncclUniqueId, int, ncclConfig_t*) { return ncclUnhandledCudaError; };
    expect_run_error([&] { NcclComm comm(library, kId, 0, 2, kNcclChannels); },
                     "starting NCCL among 2 ranks: unhandled cuda error: no CUDA-capable device is detected");
}

TEST(NcclLibrary, AnErrorInTheBackgroundIsFoundByAskingAndEndsWhatIsUnderWay) {
    static ncclResult_t state;
    static int aborted;
    state = ncclSuccess, aborted = 0;
    NcclLibrary library = made_up();
    library.init = [](ncclComm_t* comm, int, ncclUniqueId, int, ncclConfig_t* config) {
        *comm = reinterpret_cast<ncclComm_t>(&state);
        return config->blocking == 0 ? ncclInProgress : ncclInvalidArgument;
    };
    library.get_async_error = [](ncclComm_t, ncclResult_t* result) {
        *result = state;
        return ncclSuccess;
    };
    library.abort = [](ncclComm_t) {
        ++aborted;
        return ncclSuccess;
    };
    expect_run_error(
        [&] {
            NcclComm comm(library, kId, 0, 2, kNcclChannels);
            comm.check_background();
            comm.call("send", [] { return ncclInProgress; });
            state = ncclRemoteError;
            comm.check_background();
        },
        "between the GPUs: NCCL: unhandled cuda error: no CUDA-capable device is detected");
    EXPECT_EQ(aborted, 1);
}

}  // namespace
