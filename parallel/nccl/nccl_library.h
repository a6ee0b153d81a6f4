// The functions of NCCL that are used, found when they are needed: libtandem_cuda.so loads where there is no NCCL.
#pragma once

#include <string>

#include "parallel/nccl/nccl_version.h"

namespace tandem {

struct NcclLibrary {
    decltype(&::ncclGetVersion) get_version = nullptr;
    decltype(&::ncclGetErrorString) get_error_string = nullptr;
    decltype(&::ncclGetLastError) get_last_error = nullptr;
    decltype(&::ncclGetUniqueId) get_unique_id = nullptr;
    decltype(&::ncclCommInitRankConfig) init = nullptr;
    decltype(&::ncclCommGetAsyncError) get_async_error = nullptr;
    decltype(&::ncclCommFinalize) finalize = nullptr;
    decltype(&::ncclCommDestroy) destroy = nullptr;
    decltype(&::ncclCommAbort) abort = nullptr;
    decltype(&::ncclGroupStart) group_start = nullptr;
    decltype(&::ncclGroupEnd) group_end = nullptr;
    decltype(&::ncclSend) send = nullptr;
    decltype(&::ncclRecv) recv = nullptr;
    decltype(&::ncclAllGather) all_gather = nullptr;
    decltype(&::ncclBroadcast) broadcast = nullptr;
};

/// Opens `file`, once and for good. Throws Configuration, saying what to do, where it is missing, older than kOldestNccl or not NCCL.
[[nodiscard]] NcclLibrary open_nccl(const char* file = "libnccl.so.2");

/// "NCCL 2.28.9"
[[nodiscard]] std::string describe(const NcclLibrary& library);

}  // namespace tandem
