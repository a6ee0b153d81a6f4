// What is counted for NCCL's buffers, against the groups and connections that a mesh opens over a made-up library.
#include "parallel/nccl_memory.h"

#include <gtest/gtest.h>

#include "kernels/cuda/backend_cuda.h"
#include "parallel/nccl/nccl_communicator.h"
#include "parallel/transport_check.h"
#include "tests/parallel/fake_nccl.h"
#include "tests/parallel/fake_nccl_directory.h"
#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;

constexpr std::size_t kLibrary = 128 * kMiB;  ///< its kernels

/// As NCCL's p2p.cc has it: 512 KiB, 4.7 MiB and 4 MiB with a receiver, some KiB with a sender, in pages of 2 MiB;
/// and 4 MiB of a group's own.
std::size_t bytes_of(const NcclUse& use) {
    const auto receives = use.received_from.size() + (use.ring ? 1 : 0), sends = use.sent_to.size() + (use.ring ? 1 : 0);
    return (4 + static_cast<std::size_t>(use.channels) * (receives * 10 + sends * 2)) * kMiB;
}

std::size_t bytes_of_all_groups() {
    std::size_t bytes = 0;
    for (const NcclUse& one : fake_nccl_groups()) bytes += bytes_of(one);
    return bytes;
}

/// Zeroed numbers on the device.
class Numbers {
public:
    Numbers(Backend& backend, std::int64_t n) : backend_(backend), tensor_(backend.reserve(bytes(n)), DType::F32, Shape{n}) {}
    ~Numbers() { backend_.unreserve(tensor_.raw(), tensor_.bytes()); }
    Numbers(const Numbers&) = delete;
    Numbers& operator=(const Numbers&) = delete;
    [[nodiscard]] const Tensor& tensor() const { return tensor_; }

private:
    static std::size_t bytes(std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(float); }
    Backend& backend_;
    Tensor tensor_;
};

/// Sums of gradients, large and small, and of a norm; gathers; logits of text generation.
void use_as_a_run_does(Backend& backend, Stream& stream, Mesh& mesh, const GroupUse& use) {
    constexpr std::int64_t kMany = 30000;
    std::vector<std::unique_ptr<Numbers>> kept;
    const auto numbers = [&](std::int64_t n) -> const Tensor& {
        kept.push_back(std::make_unique<Numbers>(backend, n));
        backend.copy_from_host(stream, std::vector<float>(static_cast<std::size_t>(n)).data(), kept.back()->tensor());
        return kept.back()->tensor();
    };
    const auto sums = [&](Communicator& group) {
        if (group.size() == 1) return;
        const std::int64_t n = kMany * group.size();
        group.all_reduce(stream, numbers(n));
        group.all_reduce(stream, numbers(8));
        group.reduce_scatter(stream, numbers(n), numbers(kMany));
        group.all_gather(stream, numbers(kMany), numbers(n));
    };
    sums(mesh.data());
    sums(mesh.tensor());
    if (use.ends) sums(mesh.ends());
    if (use.pipeline && mesh.sizes().pipeline > 1) mesh.pipeline().broadcast(stream, numbers(kMany), mesh.pipeline().size() - 1);
    mesh.world().all_reduce(stream, numbers(1));
    stream.synchronize();
}

/// Every way to split the ranks over three axes.
std::vector<MeshIndex> meshes(int ranks) {
    std::vector<MeshIndex> all;
    for (int data = 1; data <= ranks; ++data)
        for (int tensor = 1; data * tensor <= ranks; ++tensor)
            if (ranks % (data * tensor) == 0) all.push_back({.data = data, .tensor = tensor, .pipeline = ranks / data / tensor});
    return all;
}

TEST(NcclMemory, IsThatOfTheGroupsAndConnectionsThatARunOpens) {
    const int ranks = test_world().size();
    const NcclLibrary library = fake_nccl(fake_nccl_directory());
    CudaBackend backend(0, {});
    const auto stream = backend.make_stream();
    for (const MeshIndex& sizes : meshes(ranks)) {
        for (const GroupUse use : {GroupUse{}, GroupUse{.ends = true}, GroupUse{.pipeline = true}}) {
            SCOPED_TRACE(testing::Message() << "data " << sizes.data << ", tensor " << sizes.tensor << ", pipeline " << sizes.pipeline);
            {
                NcclCommunicator world(library, backend, test_world().split(0, test_world().rank()), kNcclWorldChannels);
                Mesh mesh(world, sizes);
                prove_groups(backend, *stream, mesh, use);
                const std::size_t bytes = bytes_of_all_groups();
                const std::size_t counted = nccl_memory(sizes, ranks, use);
                EXPECT_LE(bytes + (ranks > 1 ? kLibrary : 0), counted);
                EXPECT_GE(bytes + 512 * kMiB, counted) << "the library is counted, and every stage as one between two others and as an end";
                EXPECT_EQ(ranks == 1, counted == 0);
                use_as_a_run_does(backend, *stream, mesh, use);
                EXPECT_EQ(bytes_of_all_groups(), bytes) << "something was opened after the proof";
            }
            EXPECT_TRUE(fake_nccl_groups().empty()) << "the next mesh begins with none";
        }
    }
}

TEST(NcclMemory, GrowsWithWhatARankIsConnectedTo) {
    const auto mib = [](const MeshIndex& sizes, int host_ranks, const GroupUse& use = {}) {
        return nccl_memory(sizes, host_ranks, use) / kMiB;
    };
    const MeshIndex pair{.data = 2, .tensor = 1, .pipeline = 1}, stages{.data = 1, .tensor = 1, .pipeline = 2};
    const MeshIndex eight{.data = 8, .tensor = 1, .pipeline = 1}, both{.data = 4, .tensor = 2, .pipeline = 1};
    EXPECT_EQ(mib({.data = 1, .tensor = 1, .pipeline = 1}, 1), 0U);
    EXPECT_LT(mib(stages, 2), mib(pair, 2)) << "messages between stages need few channels";
    EXPECT_LT(mib(stages, 2), mib(stages, 2, {.ends = true}));
    EXPECT_LT(mib(stages, 2), mib(stages, 2, {.pipeline = true}));
    EXPECT_LT(mib(pair, 2), mib(eight, 8));
    EXPECT_LT(mib(eight, 2), mib(eight, 8)) << "across a network connections share their buffers";
    EXPECT_LT(mib(both, 8), mib(eight, 8) + 300) << "a second group is counted by its own ranks";
    EXPECT_LT(mib(eight, 8), 1024U);
}

}  // namespace
}  // namespace tandem::test
