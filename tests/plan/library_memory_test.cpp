// What a GPU holds besides a run's arenas: counted in a plan, and found on the card.
#include "src/plan/library_memory.h"

#include <gtest/gtest.h>

#include "parallel/nccl_memory.h"
#include "tests/support/ranks.h"

namespace tandem {
namespace {

constexpr std::size_t kGiB = std::size_t{1} << 30U;

RunConfig config_of(const std::string& overrides, const std::string& model = "tied") {
    return parse_run_config("[model]\npath = " TANDEM_SOURCE_DIR "/tests/invariance/models/" + model + "\ninit = random\n" + overrides,
                            "test.ini", {}, Purpose::Plan);
}

TEST(LibraryMemory, HasNcclsBuffersWhereRanksMayUseIt) {
    const auto bytes = [](const std::string& overrides, const RankLayout& layout, const HostRanks& host) {
        const RunConfig config = config_of(overrides);
        return library_memory({config, layout, Purpose::Train, 1}, host);
    };
    const std::size_t alone = bytes("", {}, {});
    const RankLayout pair{.data = 2};
    EXPECT_EQ(bytes("", pair, {.ranks = 2}) - alone, nccl_memory({.data = 2, .tensor = 1, .pipeline = 1}, 2, {}));
    EXPECT_EQ(bytes("", pair, {.ranks = 2, .share_cards = true}), alone) << "staged";
    EXPECT_EQ(bytes("[parallel]\ntransport = staged\n", pair, {.ranks = 2}), alone);
    EXPECT_GT(bytes("[parallel]\ntransport = nccl\n", pair, {.ranks = 2, .share_cards = true}), alone);
    EXPECT_GT(bytes("[device]\ngraphs = on\n", {}, {}), alone);
    EXPECT_GT(alone, bytes("[device]\nattention = own\n", {}, {})) << "auto that on_device() has left is cuDNN's";
    const RankLayout stages{.pipeline = 2};
    const char* full = "[method]\ntype = full\n";
    EXPECT_GT(bytes(full, stages, {.ranks = 2}), bytes("", stages, {.ranks = 2})) << "both ends hold the embedding";
    const RunConfig untied = config_of(full, "untied");
    EXPECT_EQ(library_memory({untied, stages, Purpose::Train, 1}, {.ranks = 2}), bytes("", stages, {.ranks = 2}));
}

class Card : public testing::Test {
protected:
    Card() {
        place_.backend = DeviceBackend::Cuda;
        place_.gpu.memory = 24 * kGiB;
        place_.gpu.id = "GPU-7";
        place_.gpu.sharing = ranks();
    }
    static int ranks() { return test_world().size(); }
    std::string found(std::size_t need, std::size_t free, const std::string& host = "here") {
        return require_card({config_, {}, Purpose::Train, 1}, need, free, place_, test_world(), ranks(), host);
    }
    static std::string own_host() { return "host " + std::to_string(test_world().rank()); }

    RunConfig config_ = config_of("[device]\nattention = own\n");
    DevicePlace place_;
};

TEST_F(Card, WhatIsTakenIsSaid) {
    const std::string line = found(kGiB, 23 * kGiB);
    EXPECT_NE(line.find("1.00 GiB of the 24.00 GiB of GPU 0 are taken"), std::string::npos) << line;
    EXPECT_NE(line.find(ranks() == 1 ? "(600.0 MiB counted)" : "(1.17 GiB counted)"), std::string::npos) << line;
    config_.device.attention = AttentionKernels::Cudnn;
    EXPECT_NE(found(kGiB, 23 * kGiB).find(ranks() == 1 ? "(728.0 MiB counted)" : "(1.42 GiB counted)"), std::string::npos);
    EXPECT_THROW((void)found(kGiB, static_cast<std::size_t>(ranks()) * (kGiB + (std::size_t{100} << 20U))), Error)
        << "its kernels come later";
    place_.backend = DeviceBackend::Cpu;
    EXPECT_EQ(found(kGiB, 0), "") << "hosts are asked by require_available()";
}

TEST_F(Card, RanksOnOneCardNeedWhatTheyNeedTogether) {
    const std::size_t each = 10 * kGiB;
    EXPECT_NO_THROW((void)found(each, 21 * kGiB));
    try {
        (void)found(each, static_cast<std::size_t>(ranks()) * each);  // nothing is left for what comes later
        FAIL() << "accepted";
    } catch (const Error& error) {
        const std::string message = error.what();
        EXPECT_EQ(error.failure(), Failure::OutOfMemory);
        for (const std::string& word :
             {std::to_string(static_cast<std::size_t>(ranks()) * each), std::string("GPU 0"), std::string("end other programs")})
            EXPECT_NE(message.find(word), std::string::npos) << word << " in: " << message;
    }
    EXPECT_NO_THROW((void)found(each, each + kGiB, own_host())) << "cards of their own";
    // The least of what the ranks see.
    if (ranks() > 1) {
        EXPECT_THROW((void)found(each, test_world().rank() == 0 ? 24 * kGiB : 20 * kGiB), Error);
    }
}

}  // namespace
}  // namespace tandem
