#include "parallel/nccl/nccl_library.h"

#include <dlfcn.h>

#include "kernels/base/error.h"

namespace tandem {
namespace {

constexpr const char* kAdvice =
    "install NCCL 2.19 or newer for this version of CUDA, or put the directory that has it into LD_LIBRARY_PATH; "
    "parallel.transport = staged needs no NCCL";

template <class Function>
void find(void* object, const char* file, const char* name, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(object, name));
    if (function == nullptr) fail(Failure::Configuration, "{} has no {}: {}", file, name, kAdvice);
}

int version_of(const NcclLibrary& library) {
    int version = 0;
    if (library.get_version(&version) != ncclSuccess) fail(Failure::Configuration, "NCCL does not tell its version: {}", kAdvice);
    return version;
}

}  // namespace

NcclLibrary open_nccl(const char* file) {
    void* object = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (object == nullptr) {
        const char* reason = dlerror();
        fail(Failure::Configuration, "NCCL cannot be opened: {}: {}", reason ? reason : file, kAdvice);
    }
    NcclLibrary library;
    find(object, file, "ncclGetVersion", library.get_version);
    find(object, file, "ncclGetErrorString", library.get_error_string);
    find(object, file, "ncclGetLastError", library.get_last_error);
    find(object, file, "ncclGetUniqueId", library.get_unique_id);
    find(object, file, "ncclCommInitRankConfig", library.init);
    find(object, file, "ncclCommGetAsyncError", library.get_async_error);
    find(object, file, "ncclCommFinalize", library.finalize);
    find(object, file, "ncclCommDestroy", library.destroy);
    find(object, file, "ncclCommAbort", library.abort);
    find(object, file, "ncclGroupStart", library.group_start);
    find(object, file, "ncclGroupEnd", library.group_end);
    find(object, file, "ncclSend", library.send);
    find(object, file, "ncclRecv", library.recv);
    find(object, file, "ncclAllGather", library.all_gather);
    find(object, file, "ncclBroadcast", library.broadcast);
    if (version_of(library) < kOldestNccl) fail(Failure::Configuration, "{} is {}: {}", file, describe(library), kAdvice);
    return library;
}

std::string describe(const NcclLibrary& library) {
    const int version = version_of(library);
    return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace tandem
