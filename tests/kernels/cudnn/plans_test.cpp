// cuDNN takes the graph of attention, for every architecture that tandem is compiled for, and says how much workspace it needs. The device
// is described in words (its format: what cuDNN asks for, key by key); its code is compiled and run nowhere.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include "kernels/cuda/native/cudnn/forward_graph.h"
#include "kernels/cuda/scratch.h"

void* cudnn_frontend::cudnn_dlhandle = dlopen("libcudnn.so.9", RTLD_NOW);

namespace tandem::test {

namespace {

namespace fe = cudnn_frontend;
using cuda::AttentionPlan;

struct Card {
    int architecture, multiprocessors, shared_memory, threads, blocks;  ///< the last three of a multiprocessor
};

std::string describe(const Card& card) {
    return fmt::format(
        R"({{"deviceName": "a card", "cudaDeviceId": 0, "deviceVer": {}, "driverVer": 13000, "maxGridSize": [2147483647, 65535, 65535],
"maxBlockSize": [1024, 1024, 64], "regsPerBlock": 65536, "multiProcessorCount": {}, "warpSize": 32, "maxSharedMemoryPerBlock": 49152,
"maxSharedMemoryPerBlockOptin": {}, "reservedSharedMemoryPerBlock": 1024, "oversizedSharedMemoryPerBlock": 0, "maxRegistersPerSM": 65536,
"maxCtasPerSM": {}, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": {}, "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1,
"totalGlobalMem": 85899345920, "smClockRateKHz": 1500000, "memClockRateKHz": 2000000, "memoryBusWidth": 5120, "l2CacheSize": 41943040}})",
        card.architecture * 10, card.multiprocessors, card.shared_memory, card.blocks, card.threads);
}

struct Row {
    std::string name;
    AttentionPlan plan;
};

AttentionPlan plan(int heads, int kv_heads, int head_dim, int samples, int length, int window = 0) {
    const std::int64_t wide = std::int64_t{heads} * head_dim, narrow = std::int64_t{kv_heads} * head_dim;
    return {.type = cuda::Element::BF16,
            .samples = samples,
            .length = length,
            .heads = heads,
            .kv_heads = kv_heads,
            .head_dim = head_dim,
            .scale = 0.088F,
            .window = window,
            .q_stride = wide,
            .k_stride = narrow,
            .v_stride = narrow,
            .o_stride = wide};
}

const std::vector<Row>& rows() {
    static const std::vector<Row> all = {{"llama_3_8b", plan(32, 8, 128, 8, 2048)},
                                         {"llama_3_8b_window", plan(32, 8, 128, 8, 128, 29)},
                                         {"qwen2_5_7b", plan(28, 4, 128, 32, 4096)},
                                         {"smollm2", plan(9, 3, 64, 64, 512)},
                                         {"gemma_7b", plan(16, 16, 256, 8, 8192)}};
    return all;
}

class CudnnPlans : public testing::TestWithParam<Card> {
protected:
    void SetUp() override {
        if (fe::cudnn_dlhandle == nullptr) GTEST_SKIP() << "no cuDNN to build plans with: " << dlerror();
        if (fe::detail::get_backend_version() < cuda::cudnn::kOldestCudnn) GTEST_SKIP() << "no cuDNN to build plans with: it is too old";
    }
    /// Bytes of workspace, or what cuDNN says against the plan.
    static std::pair<std::int64_t, std::string> build(const AttentionPlan& what) {
        const std::string words = describe(GetParam());
        auto device = std::make_shared<fe::DeviceProperties>();
        auto status = device->deserialize({words.begin(), words.end()});
        if (!status.is_good()) return {0, "the device: " + status.get_message()};
        const auto graph = cuda::cudnn::forward_graph(what, GetParam().architecture);
        graph->set_device_properties(device);
        std::int64_t workspace = 0;
        for (const auto& step :
             {std::function([&] { return graph->validate(); }), std::function([&] { return graph->build_operation_graph(nullptr); }),
              std::function([&] { return graph->create_execution_plans({fe::HeurMode_t::A}); }),
              std::function([&] { return graph->check_support(); }), std::function([&] { return graph->build_plans(); }),
              std::function([&] { return graph->get_workspace_size(workspace); })}) {
            if (status = step(); !status.is_good()) return {0, status.get_message()};
        }
        return {workspace, ""};
    }
};

}  // namespace

TEST_P(CudnnPlans, AreBuiltAndNeedLittleWorkspace) {
    for (const Row& row : rows()) {
        SCOPED_TRACE(row.name);
        const auto [workspace, obstacle] = build(row.plan);
        EXPECT_EQ(obstacle, "");
        EXPECT_LE(workspace, 256 << 10U);
    }
    // As many samples as a large batch may have: within what is planned.
    const auto [workspace, obstacle] = build(plan(32, 8, 128, 8192, 128));
    EXPECT_EQ(obstacle, "");
    EXPECT_LE(workspace, cuda::kAttentionLibraryWorkspace - (1 << 20U));
}

TEST_P(CudnnPlans, WhatCudnnDoesNotTakeIsSaid) {
    AttentionPlan odd = plan(32, 8, 128, 8, 2048);
    odd.head_dim = 100;
    EXPECT_NE(build(odd).second, "");
    odd = plan(32, 7, 128, 8, 2048);  // heads that do not share evenly
    EXPECT_NE(build(odd).second, "");
}

INSTANTIATE_TEST_SUITE_P(, CudnnPlans,
                         testing::Values(Card{80, 108, 166912, 2048, 32}, Card{86, 84, 101376, 1536, 16}, Card{89, 142, 101376, 1536, 24},
                                         Card{90, 132, 232448, 2048, 32}),
                         [](const auto& row) { return fmt::format("sm_{}", row.param.architecture); });

}  // namespace tandem::test
