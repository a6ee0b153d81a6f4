// All of NCCL's transport but NCCL: its library is made up, its device emulated.
#include <filesystem>

#include "kernels/cuda/backend_cuda.h"
#include "parallel/nccl/nccl_communicator.h"
#include "tests/parallel/fake_nccl.h"
#include "tests/parallel/transports.h"
#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

/// Removed when the program ends, by rank 0.
class Directory {
public:
    Directory() : owner_(test_world().rank() == 0) {
        std::string pattern = std::filesystem::temp_directory_path() / "tandem-fake-nccl-XXXXXX";
        if (owner_) name_ = mkdtemp(pattern.data());
        test_world().broadcast(name_, 0);
    }
    ~Directory() {
        if (owner_) std::filesystem::remove_all(name_);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    bool owner_;
    std::string name_;
};

Transport over_nccl(const DeviceOptions& options) {
    static const Directory directory;
    static const NcclLibrary library = fake_nccl(directory.name());
    auto backend = std::make_unique<CudaBackend>(0, options);
    auto stream = backend->make_stream();
    auto group = std::make_unique<NcclCommunicator>(library, *backend, test_world().split(0, test_world().rank()));
    return {std::move(backend), std::move(stream), std::move(group)};
}

}  // namespace

std::vector<TransportCase> transport_cases() {
    const auto with = [](const char* name, DeviceOptions options) {
        return TransportCase{.name = name,
                             .host = false,
                             .make = [options] { return over_nccl(options); },
                             .sums_everything = false,
                             .notices_sizes = false};
    };
    return {with("nccl", {}), with("nccl_graphs", {.graphs = true})};
}

}  // namespace tandem::test
