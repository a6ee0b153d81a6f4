// Which transport a job gets and what it says about that, on hosts: who shares a card, what NCCL's part answers and how the transport
// behaves are made up.
#include "parallel/transport.h"

#include <gtest/gtest.h>

#include "kernels/dry/backend_dry.h"
#include "parallel/staged_communicator.h"
#include "parallel/transport_check.h"
#include "tests/support/delayed_communicator.h"
#include "tests/support/ranks.h"

namespace {

using namespace tandem;

int aborts = 0;              ///< of all groups of the made-up library
int given_back_running = 0;  ///< groups given back before that

/// A transport that works, but for what a test makes of it.
class Broken final : public test::DelayedCommunicator {
public:
    enum class How { Not, SumsWrong, SumsWrongEverywhere, SendsWrong, Throws };
    Broken(std::unique_ptr<Communicator> group, How how) : DelayedCommunicator(std::move(group), {.longest = {}}), how_(how) {}
    ~Broken() override {
        if (aborts == 0 && std::uncaught_exceptions() == 0) ++given_back_running;
    }
    Broken(const Broken&) = delete;
    Broken& operator=(const Broken&) = delete;
    [[nodiscard]] std::string_view name() const override { return "made up"; }
    [[nodiscard]] std::unique_ptr<Communicator> split(int color, int key) override {
        return std::make_unique<Broken>(DelayedCommunicator::split(color, key), how_);
    }
    void all_reduce(Stream& s, const Tensor& x) override {
        if (how_ == How::Throws) fail(Failure::Run, "the link is down");
        DelayedCommunicator::all_reduce(s, x);
        if (how_ == How::SumsWrongEverywhere || (how_ == How::SumsWrong && rank() == size() - 1)) x.data<float>()[x.elements() - 1] += 1;
    }
    void recv(Stream& s, const Tensor& x, int peer, int tag) override {
        DelayedCommunicator::recv(s, x, peer, tag);
        if (how_ == How::SendsWrong && tag % 2 == 1) x.data<float>()[0] += 1;
    }

private:
    How how_;
};

Broken::How how = Broken::How::Not;
std::string library = "NCCL 9";

constexpr TransportPlugin kMadeUp = {"", [] { return library; },
                                     [](Backend&, std::unique_ptr<Communicator> control) -> std::unique_ptr<Communicator> {
                                         return std::make_unique<Broken>(std::move(control), how);
                                     },
                                     [] { return std::string(); }, [] { ++aborts; }};

class TransportTest : public testing::Test {
protected:
    TransportTest() { how = Broken::How::Not, library = "NCCL 9"; }
    DeviceTransport choose(
        TransportWish wish, const std::string& card,
        const std::function<const TransportPlugin&()>& plugin = []() -> const TransportPlugin& { return kMadeUp; }) {
        return make_device_communicator({*backend_, *stream_, test_world(), wish, card, plugin});
    }
    /// A card for each rank.
    static std::string own() { return fmt::format("card {}", test_world().rank()); }
    static bool last() { return test_world().rank() == test_world().size() - 1; }
    static void expect_refused(const std::function<void()>& f, const std::string& part) {
        try {
            f();
            ADD_FAILURE() << "nothing was thrown";
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Configuration);
            EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
        }
    }

    std::unique_ptr<Backend> backend_ = make_cpu_backend(1);
    std::unique_ptr<Stream> stream_ = backend_->make_stream();
};

void expect_report(const DeviceTransport& transport, const std::string& name, const std::string& why) {
    EXPECT_EQ(transport.world->name(), name);
    EXPECT_EQ(transport.report.substr(0, transport.report.find(';')), fmt::format("{} ({})", name, why));
    EXPECT_NE(transport.report.find("; all-reduce of 16 MiB at "), std::string::npos) << transport.report;
}

TEST_F(TransportTest, ACardForEachRankIsNcclsPlace) { expect_report(choose(TransportWish::Auto, own()), "made up", "NCCL 9"); }

TEST_F(TransportTest, RanksThatShareACardAreStaged) {
    const int ranks = test_world().size();
    expect_report(choose(TransportWish::Auto, "card"), ranks == 1 ? "made up" : "staged",
                  ranks == 1 ? "NCCL 9" : fmt::format("{} ranks share a GPU", ranks));
    if (ranks < 3) return;
    expect_report(choose(TransportWish::Auto, test_world().rank() < 2 ? "card" : own()), "staged", "2 ranks share a GPU");
}

TEST_F(TransportTest, AWishIsAnOrder) {
    expect_report(choose(TransportWish::Staged, own()), "staged", "parallel.transport = staged");
    expect_report(choose(TransportWish::Nccl, "card"), "made up", "NCCL 9");
}

TEST_F(TransportTest, WhatKeepsNcclAwayOnOneRankKeepsItAwayFromAll) {
    const auto absent = []() -> const TransportPlugin& {
        if (last()) fail(Failure::Configuration, "libnccl.so.2 is missing");
        return kMadeUp;
    };
    const std::string why = fmt::format("rank {}: libnccl.so.2 is missing", test_world().size() - 1);
    expect_report(choose(TransportWish::Auto, own(), absent), "staged", why);
    expect_refused([&] { choose(TransportWish::Nccl, own(), absent); }, why);
}

TEST_F(TransportTest, DifferentLibrariesDoNotMeet) {
    if (test_world().size() == 1) GTEST_SKIP() << "several ranks tell it";
    if (last()) library = "NCCL 8";
    const auto transport = choose(TransportWish::Auto, own());
    EXPECT_EQ(transport.world->name(), "staged");
    EXPECT_NE(transport.report.find("rank 0: here is NCCL 9, rank"), std::string::npos) << transport.report;
}

TEST_F(TransportTest, ATransportThatCarriesSomethingElseIsNotTaken) {
    const int ranks = test_world().size();
    for (const auto& [broken, says] : {std::pair(Broken::How::SumsWrong, "all_reduce of known data: element"),
                                       std::pair(Broken::How::SendsWrong, "a message to the previous rank of known data: element 0"),
                                       std::pair(Broken::How::Throws, "the link is down")}) {
        if (ranks == 1 && broken == Broken::How::SendsWrong) continue;
        how = broken;
        const auto transport = choose(TransportWish::Auto, own());
        EXPECT_EQ(transport.world->name(), "staged");
        EXPECT_NE(transport.report.find(says), std::string::npos) << transport.report;
        expect_refused([&] { choose(TransportWish::Nccl, own()); }, says);
    }
}

/// Work of a transport that hangs is on the device until it is aborted, and giving memory back would wait for it.
TEST_F(TransportTest, ATransportThatDoesNotWorkIsEndedBeforeItIsGivenBack) {
    aborts = given_back_running = 0;
    how = Broken::How::Throws;
    EXPECT_EQ(choose(TransportWish::Auto, own()).world->name(), "staged");
    EXPECT_EQ(aborts, 1);
    EXPECT_EQ(given_back_running, 0);
}

TEST_F(TransportTest, ACheckThatFailsLeavesTheDevicesMemoryAlone) {
    struct Counting final : DryBackend {
        void unreserve(void* /*base*/, std::size_t /*bytes*/) noexcept override { ++given_back; }
        int given_back = 0;
    } device;
    const auto stream = device.make_stream();
    Broken group(test_world().split(0, test_world().rank()), Broken::How::Throws);
    EXPECT_THROW(static_cast<void>(verify_transport(device, *stream, group)), Error);
    EXPECT_EQ(device.given_back, 0);
}

TEST_F(TransportTest, EveryGroupOfAMeshIsProvedAndTheOneThatIsWrongIsNamed) {
    const int ranks = test_world().size();
    const auto prove = [&](Broken::How broken, const MeshIndex& sizes) {
        Broken world(test_world().split(0, test_world().rank()), broken);
        Mesh mesh(world, sizes);
        prove_groups(*backend_, *stream_, mesh, {.pipeline = true});
    };
    const MeshIndex data{.data = ranks, .tensor = 1, .pipeline = 1}, tensor{.data = 1, .tensor = ranks, .pipeline = 1};
    EXPECT_NO_THROW(prove(Broken::How::Not, data));
    EXPECT_NO_THROW(prove(Broken::How::Not, {.data = 1, .tensor = 1, .pipeline = ranks}));
    if (ranks == 1) return;
    for (const auto& [sizes, name] : {std::pair(data, "data-parallel"), std::pair(tensor, "tensor-parallel")}) {
        try {
            prove(Broken::How::SumsWrongEverywhere, sizes);
            ADD_FAILURE() << "a wrong sum was taken for right";
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Run);
            EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
        }
    }
}

TEST_F(TransportTest, ThePartThatHoldsTransportsIsOfThisBuild) {
    expect_refused([] { static_cast<void>(transport_plugin(nullptr)); }, "tandem_transport_plugin");
    const TransportEntry entry = [] { return &kMadeUp; };
    expect_refused([&] { static_cast<void>(transport_plugin(reinterpret_cast<void*>(entry))); }, "built as part of another tandem");
}

}  // namespace
