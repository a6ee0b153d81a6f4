// When attention is a library's and when not, and what comes of a library that computes something else. The library is made up
// (tests/support/emulator/attention_library.h); test_conformance.cpp has what it gives where it is right.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/library_attention.h"
#include "kernels/cuda/queue.h"
#include "kernels/cuda/stream.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/elementwise.h"
#include "tests/kernels/device.h"
#include "tests/support/emulator/attention_library.h"

namespace tandem::test {

namespace {

using emulator::AttentionLibraryWish;

struct Batch {
    std::vector<std::int64_t> lengths = {5, 40, 3};
    Attention params = {.scale = 0.3};
    DType type = DType::BF16;
    std::int64_t d = 16;
    std::int64_t more_keys = 0;  ///< of the last sample
};

class AttentionOfLibrary : public testing::Test {
protected:
    void SetUp() override { wish({}); }
    void TearDown() override { wish({}); }

    static void wish(const AttentionLibraryWish& what) {
        emulator::set_attention_library(what);
        static_cast<void>(emulator::take_attention_library_use());
    }
    static Device device(AttentionKernels attention, bool graphs = false) {
        return Device(std::make_unique<CudaBackend>(0, DeviceOptions{.graphs = graphs, .attention = attention}));
    }

    /// o, as it lies in memory.
    static std::vector<std::uint16_t> attend(Device& device, const Batch& batch) {
        std::vector<double> q_at = {0}, k_at = {0};
        for (const auto n : batch.lengths) q_at.push_back(q_at.back() + static_cast<double>(n));
        k_at = q_at;
        k_at.back() += static_cast<double>(batch.more_keys);
        const Shape count{std::ssize(q_at)}, shape{static_cast<std::int64_t>(q_at.back()), 4, batch.d},
            shared{static_cast<std::int64_t>(k_at.back()), 2, batch.d};
        const Segments segments{device.tensor(count, DType::I32, q_at), device.tensor(count, DType::I32, k_at),
                                std::ranges::max(batch.lengths) + batch.more_keys};
        const Tensor q = device.random(shape, batch.type, 1), k = device.random(shared, batch.type, 2),
                     v = device.random(shared, batch.type, 3);
        const Tensor o = device.filled(shape, batch.type, 0), lse = device.filled({4, shape[0]}, DType::F32, 0);
        ops::attention(device.context(), batch.params, segments, q, k, v, o, lse);
        EXPECT_EQ(device.context().workspace.used(), 0U);
        return device.elements<std::uint16_t>(o.dtype() == DType::F32 ? Tensor(o.raw(), DType::BF16, {2 * o.elements()}) : o);
    }
    /// What own kernels give.
    static std::vector<std::uint16_t> own(const Batch& batch) {
        Device by_own = device(AttentionKernels::Own);
        return attend(by_own, batch);
    }
    /// Own kernels' bits, and the library has not been run on the call itself.
    static void expect_own(const Batch& batch, const std::string& reason, AttentionKernels attention = AttentionKernels::Cudnn,
                           int runs = 0) {
        Device by_library = device(attention);
        static_cast<void>(emulator::take_attention_library_use());
        testing::internal::CaptureStderr();
        EXPECT_EQ(attend(by_library, batch), own(batch));
        EXPECT_EQ(attend(by_library, batch), own(batch));
        const std::string said = testing::internal::GetCapturedStderr();
        EXPECT_EQ(emulator::take_attention_library_use().run, runs);
        EXPECT_NE(said.find(reason), std::string::npos) << said;
        EXPECT_EQ(std::ranges::count(said, '\n'), reason.empty() ? 0 : 1) << "it is said once: " << said;
    }
    /// The words with which a wrong library is found out.
    static void expect_found_out(const AttentionLibraryWish& fault, const std::string& words, const Batch& batch = {}) {
        wish(fault);
        Device by_library = device(AttentionKernels::Cudnn);
        try {
            static_cast<void>(attend(by_library, batch));
            ADD_FAILURE() << "not found out: " << words;
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Run);
            for (const std::string& part : {words, std::string("emulated attention library and own kernels do not agree"),
                                            std::string("4 heads over 2, 16 wide"), std::string("device.attention = own")})
                EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
        }
    }
};

}  // namespace

TEST_F(AttentionOfLibrary, IsUsedWhereItIsAskedFor) {
    Device by_own = device(AttentionKernels::Own);
    EXPECT_EQ(attend(by_own, {}), own({}));
    EXPECT_EQ(by_own.context().backend.description().find("library"), std::string::npos);
    EXPECT_EQ(emulator::take_attention_library_use().prepared, 0);
    for (const auto attention : {AttentionKernels::Auto, AttentionKernels::Cudnn}) {
        Device by_library = device(attention);
        EXPECT_NE(by_library.context().backend.description().find("attention forward by emulated attention library"), std::string::npos);
        EXPECT_NE(attend(by_library, {}), own({})) << "other roundings are other bits: was it the library?";
        const auto use = emulator::take_attention_library_use();
        EXPECT_EQ(use.prepared, 1);
        EXPECT_EQ(use.run, 3) << "twice on known samples, once on these";
    }
}

TEST_F(AttentionOfLibrary, OnePlanServesBatchesAlike) {
    Device by_library = device(AttentionKernels::Cudnn);
    const auto use = [&](const Batch& batch) {
        static_cast<void>(attend(by_library, batch));
        return emulator::take_attention_library_use().prepared;
    };
    EXPECT_EQ(use({}), 1);
    EXPECT_EQ(use({}), 0);
    EXPECT_EQ(use({.lengths = {128, 1, 2, 3, 4, 5, 6, 7}}), 0);
    EXPECT_EQ(use({.lengths = {129}}), 1) << "longer";
    EXPECT_EQ(use({.lengths = {1, 1, 1, 1, 1, 1, 1, 1, 1}}), 1) << "more";
    EXPECT_EQ(use({.params = {.scale = 0.25}}), 1);
    EXPECT_EQ(use({.type = DType::F16}), 1);
    EXPECT_EQ(use({.params = {.scale = 0.3, .window = 40}}), 0) << "no sample is longer than the window";
    EXPECT_EQ(use({.params = {.scale = 0.3, .window = 39}}), 1);
}

TEST_F(AttentionOfLibrary, OwnKernelsDoWhatItDoesNotTake) {
    wish({.refusal = "this is not supported here"});
    expect_own({}, "emulated attention library: this is not supported here");
    wish({.workspace = std::size_t{17} << 20U});
    expect_own({}, "bytes of workspace, and 16777216 are planned");
    wish({.workspace = (std::size_t{16} << 20U) - 16384});
    expect_own({}, "16777216 bytes are too few to prove it");
    wish({});
    expect_own({.params = {.scale = 0.3, .softcap = 2.0}}, "soft-capped");
    expect_own({.params = {.scale = -0.3}}, "the scale is not positive");
    expect_own({.type = DType::F32}, "fp32");
    expect_own({.d = 12}, "in steps of 8");
    expect_own({.more_keys = 4}, "more keys than queries");
}

TEST_F(AttentionOfLibrary, OwnKernelsDoWhatAutoFindsNoLibraryFor) {
    constexpr auto kAuto = AttentionKernels::Auto;
    expect_own({.params = {.scale = 0.3, .softcap = 2.0}}, "", kAuto);  // nothing is wrong with the library
    expect_own({.more_keys = 4}, "", kAuto);
    wish({.refusal = "this is not supported here"});
    expect_own({}, "emulated attention library: this is not supported here", kAuto);
    wish({.lse_factor = 1.4427});
    expect_own({}, "on known samples it and own kernels do not agree: lse of head 0, token 0", kAuto, 1);
    wish({.drift = 0.01});
    expect_own({}, "other bits each time", kAuto, 2);
    wish({.fails = true});
    expect_own({}, "the emulated library has no memory for its kernels", kAuto);
    wish({.missing = true});
    testing::internal::CaptureStderr();
    Device without = device(kAuto);
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "tandem: attention is by own kernels: the emulated library is missing\n");
    EXPECT_EQ(attend(without, {}), own({}));
}

TEST_F(AttentionOfLibrary, IsFoundOutWhereItIsWrong) {
    expect_found_out({.lse_factor = 1.4427}, "lse of head 0, token 0");  // to base 2
    expect_found_out({.keys_too_many = 1}, "lse of head");
    expect_found_out({.forgets_lse = true}, "is nan and not");
    expect_found_out({.writes_behind = true}, "it writes to column 0 of row 168, outside of the result");
    expect_found_out({.lse_behind = true}, "it writes lse behind the last token");
    expect_found_out({.reads_behind = true}, "o of token 0, column 0 is nan and not");
    expect_found_out({.drift = 0.01}, "other bits each time");
    expect_found_out({.window_too_wide = 1}, "lse of head", {.params = {.scale = 0.3, .window = 20}});
    // Behind a library's first tile of keys.
    expect_found_out({.keys_seen = 128}, "lse of head", {.lengths = {300}});
    expect_found_out({.keys_seen = 256}, "lse of head", {.lengths = {300}});
    // Wider than any known sample is long: found out of a narrower one.
    expect_found_out({.window_too_wide = 1}, "lse of head", {.lengths = {400}, .params = {.scale = 0.3, .window = 350}});
}

TEST_F(AttentionOfLibrary, IsProvedOnShorterSamplesWhereHeadsAreMany) {
    const cuda::AttentionPlan plan{.type = cuda::Element::BF16,
                                   .samples = 8,
                                   .length = 4096,
                                   .heads = 52,
                                   .kv_heads = 52,
                                   .head_dim = 128,
                                   .scale = 0.1F,
                                   .window = 0,
                                   .q_stride = 52 * 128,
                                   .k_stride = 52 * 128,
                                   .v_stride = 52 * 128,
                                   .o_stride = 52 * 128};
    const auto longest = [&](std::size_t mebibytes) { return cuda::longest_known_sample(plan, 65536, mebibytes << 20U); };
    EXPECT_EQ(longest(32), 299);
    EXPECT_GT(longest(16), 128) << "more than a tile of keys, by what is planned";
    EXPECT_LT(longest(16), 299);
    EXPECT_EQ(longest(1), 0);

    wish({.workspace = (std::size_t{16} << 20U) - 65536});  // room for some eighty tokens, and not for one more
    Device by_library = device(AttentionKernels::Cudnn);
    static_cast<void>(attend(by_library, {}));
    EXPECT_EQ(emulator::take_attention_library_use().run, 3);
}

namespace {

/// Some layers whose attention is between calls that graphs hold back: its queries come from the last, its result is taken by the next.
std::vector<std::uint16_t> layers(Device& device) {
    Context& ctx = device.context();
    const Shape shape{48, 4, 16}, shared{48, 2, 16};
    const Tensor offsets = device.tensor({4}, DType::I32, {0, 5, 45, 48});
    const Segments samples{offsets, offsets, 40};
    const Tensor x = device.random(shape, DType::BF16, 1), k = device.random(shared, DType::BF16, 2),
                 v = device.random(shared, DType::BF16, 3);
    const Tensor q = device.filled(shape, DType::BF16, 0), o = device.filled(shape, DType::BF16, 0),
                 lse = device.filled({4, 48}, DType::F32, 0);
    for (int step = 0; step < 3; ++step) {
        ops::zero(ctx, q);
        for (int layer = 0; layer < 4; ++layer) {
            for (int i = 0; i < 3; ++i) ops::add(ctx, x, q, q);
            ops::attention(ctx, {.scale = 0.3}, samples, q, k, v, o, lse);
            for (int i = 0; i < 3; ++i) ops::add(ctx, o, q, q);
        }
    }
    return device.elements<std::uint16_t>(q);
}

}  // namespace

TEST_F(AttentionOfLibrary, IsInOrderWithCallsThatGraphsHoldBack) {
    Device at_once = device(AttentionKernels::Cudnn), graphs = device(AttentionKernels::Cudnn, true),
           own = device(AttentionKernels::Own, true);
    const auto want = layers(at_once);
    static_cast<void>(emulator::take_attention_library_use());
    EXPECT_EQ(layers(graphs), want);
    EXPECT_EQ(emulator::take_attention_library_use().run, 2 + 12);
    const std::string work = graphs.context().backend.work_summary();
    EXPECT_TRUE(work.starts_with("graphs: ") && work.find(" in 0 launches") == std::string::npos) << work;
    EXPECT_NE(layers(own), want);
}

/// A call that graphs hold back until attention is proved, and that fails then: own kernels must not go on as if it had been done.
TEST_F(AttentionOfLibrary, IsNotBlamedForEarlierCalls) {
    Device graphs = device(AttentionKernels::Auto, true);
    Context& ctx = graphs.context();
    const Shape shape{48, 4, 16}, shared{48, 2, 16};
    const Segments samples{graphs.tensor({2}, DType::I32, {0, 48}), graphs.tensor({2}, DType::I32, {0, 48}), 48};
    const Tensor q = graphs.random(shape, DType::BF16, 1), k = graphs.random(shared, DType::BF16, 2);
    const Tensor o = graphs.filled(shape, DType::BF16, 0), lse = graphs.filled({4, 48}, DType::F32, 0);
    cuda::Queue& queue = *cuda::queue(ctx.stream);
    static_cast<void>(queue.enqueue({"earlier call", [](const void*, cuda::NativeStream) { return cuda::Status{719}; }, {}}));
    try {
        ops::attention(ctx, {.scale = 0.3}, samples, q, k, k, o, lse);
        ADD_FAILURE() << "the earlier call is forgotten";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("earlier call"), std::string::npos) << error.what();
    }
}

TEST_F(AttentionOfLibrary, MissingIsAnError) {
    wish({.missing = true});
    static_cast<void>(device(AttentionKernels::Own));
    try {
        static_cast<void>(device(AttentionKernels::Cudnn));
        ADD_FAILURE();
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Configuration);
        EXPECT_STREQ(error.what(), "device.attention = cudnn: the emulated library is missing");
    }
}

}  // namespace tandem::test
