// The cuda backend with device.graphs = on: whatever asks for a stream's work sees all of it, and ops compute what they compute one by one.
#include <gtest/gtest.h>

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/stream.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/optimizer.h"
#include "tests/kernels/device.h"
#include "tests/support/emulator/streams.h"

namespace tandem::test {

namespace {

constexpr DeviceOptions kGraphs{.graphs = true};

/// y = x + x + x + x + x + x, a call each, held back until somebody asks; before that y is -1.
struct HeldBack {
    HeldBack() { work(); }
    void work() {
        device.set(y, {-1, -1});
        stream().synchronize();
        ops::zero(device.context(), y);
        for (int i = 0; i < 6; ++i) ops::add(device.context(), y, x, y);
    }
    Stream& stream() { return device.context().stream; }
    Backend& backend() { return device.context().backend; }
    /// y as another stream sees it, which waits for nobody.
    std::vector<float> seen() {
        std::vector<float> out(2);
        backend().copy_to_host(*other, y, out.data());
        return out;
    }

    Device device{std::make_unique<CudaBackend>(0, kGraphs)};
    Tensor x = device.tensor({2}, DType::F32, {1, 2}), y = device.tensor({2}, DType::F32, {-1, -1});
    std::unique_ptr<Stream> other = backend().make_stream();
    const std::vector<float> before{-1, -1}, after{6, 12};
};

struct Question {
    const char* name;
    void (*ask)(HeldBack&);
    friend std::ostream& operator<<(std::ostream& out, const Question& question) { return out << question.name; }
};
class AsksForWork : public testing::TestWithParam<Question> {};

void by_synchronizing(HeldBack& held) { held.stream().synchronize(); }
void by_an_event(HeldBack& held) {
    const auto event = held.backend().make_event();
    held.stream().record(*event);
    event->synchronize();
}
void by_asking_an_event(HeldBack& held) {
    const auto event = held.backend().make_event();
    held.stream().record(*event);
    while (!event->done()) {
    }
}
void by_another_streams_wait(HeldBack& held) {
    const auto event = held.backend().make_event();
    held.stream().record(*event);
    held.other->wait(*event);
}
void by_a_copy_to_the_host(HeldBack& held) {
    std::vector<float> host(2);
    held.backend().copy_to_host(held.stream(), held.y, host.data());
    EXPECT_EQ(host, held.after);
}
/// A copy to pinned memory does not wait.
void by_a_copy_to_pinned_memory(HeldBack& held) {
    auto* host = static_cast<float*>(held.backend().reserve_host(8));
    held.backend().copy_to_host(held.stream(), held.y, host);
    cuda::check(cuda::synchronize_stream(cuda::native(held.stream())), "test");
    EXPECT_EQ(std::vector<float>(host, host + 2), held.after);
    held.backend().unreserve_host(host, 8);
}
void by_the_devices_own_stream(HeldBack& held) { cuda::check(cuda::synchronize_stream(cuda::native(held.stream())), "test"); }
void by_giving_memory_back(HeldBack& held) { held.backend().unreserve(held.backend().reserve(8), 8); }

}  // namespace

TEST_P(AsksForWork, SeesAllOfIt) {
    HeldBack held;
    EXPECT_EQ(held.seen(), held.before);
    for (int round = 0; round < 3; ++round) {  // one by one, recorded, launched
        GetParam().ask(held);
        EXPECT_EQ(held.seen(), held.after);
        held.work();
        EXPECT_EQ(held.seen(), held.before);
    }
    held.stream().synchronize();
}

INSTANTIATE_TEST_SUITE_P(, AsksForWork,
                         testing::Values(Question{"synchronize", by_synchronizing}, Question{"event", by_an_event},
                                         Question{"event_asked", by_asking_an_event}, Question{"other_stream", by_another_streams_wait},
                                         Question{"copy_to_host", by_a_copy_to_the_host},
                                         Question{"copy_to_pinned", by_a_copy_to_pinned_memory},
                                         Question{"native", by_the_devices_own_stream}, Question{"unreserve", by_giving_memory_back}),
                         [](const auto& row) { return row.param.name; });

TEST(HeldBackWork, IsBeforeACopyFromTheHost) {
    HeldBack held;
    held.device.set(held.y, {7, 8});
    held.stream().synchronize();
    EXPECT_EQ(held.seen(), (std::vector<float>{7, 8}));
}

TEST(HeldBackWork, IsHandedOverByAWaitAndBySubmit) {
    HeldBack held;
    const cuda::NativeStream native = cuda::native(held.stream());
    const auto event = held.backend().make_event();
    held.other->record(*event);
    for (const bool wait : {true, false}) {
        held.work();
        const std::uint64_t before = native->enqueued;
        if (wait) held.stream().wait(*event);
        else held.stream().submit();
        EXPECT_GE(native->enqueued - before, 7U);
    }
}

TEST(HeldBackWork, IsDoneBeforeItsStreamAndItsMemoryGo) {
    HeldBack held;
    {
        const auto stream = held.backend().make_stream();
        void* base = held.backend().reserve(8);
        const Tensor z(base, DType::F32, {2});
        Context ctx{held.backend(), *stream, held.device.context().workspace};
        for (int i = 0; i < 5; ++i) ops::add(ctx, held.x, held.x, z);
        held.backend().unreserve(base, 8);
        stream->synchronize();  // throws where the memory was gone
        for (int i = 0; i < 5; ++i) ops::add(ctx, held.x, held.x, held.y);
    }
    EXPECT_EQ(held.seen(), (std::vector<float>{2, 4}));
}

TEST(HeldBackWork, OfTwoStreamsIsInTheOrderOfTheirEvents) {
    HeldBack held;
    Context second{held.backend(), *held.other, held.device.context().workspace};
    const auto event = held.backend().make_event();
    for (int round = 1; round <= 4; ++round) {
        held.work();
        held.stream().record(*event);
        held.other->wait(*event);
        for (int i = 0; i < round; ++i) ops::add(second, held.y, held.x, held.y);  // on one, behind the other
        held.other->record(*event);
        held.stream().wait(*event);
        ops::add(held.device.context(), held.y, held.y, held.y);
        std::vector<float> got(2);
        held.backend().copy_to_host(held.stream(), held.y, got.data());
        EXPECT_EQ(got, (std::vector<float>{2.0F * static_cast<float>(6 + round), 4.0F * static_cast<float>(6 + round)}));
    }
}

namespace {

/// Some steps of a made-up layer: dropout with another key, a product, an update with another rate, lengths that come again and others.
std::vector<double> layer(const DeviceOptions& options, std::string& work) {
    Device device(std::make_unique<CudaBackend>(0, options));
    Context& ctx = device.context();
    const Tensor x = device.random({9, 16}, DType::F32, 1), w = device.random({16, 8}, DType::F32, 2);
    const Tensor ids = device.copy({9}, DType::I64, std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8});
    const Tensor dropped = device.filled({9, 16}, DType::F32, 0), y = device.filled({9, 8}, DType::F32, 0);
    const Tensor gradient = device.filled({16, 8}, DType::F32, 0), scale = device.filled({1}, DType::F64, 0.5);
    const Tensor m = device.filled({16, 8}, DType::F32, 0), v = device.filled({16, 8}, DType::F32, 0);
    std::vector<double> out;
    for (const std::int64_t tokens : {9, 9, 9, 5, 9, 5, 5, 7, 9}) {
        const auto step = static_cast<std::int64_t>(out.size()) + 1;
        const DropoutMask mask{.key = static_cast<std::uint64_t>(step), .probability = 0.3};
        ops::dropout(ctx, mask, ids.rows(0, tokens), x.rows(0, tokens), dropped.rows(0, tokens));
        ops::matmul(ctx, {dropped.rows(0, tokens)}, {w}, y.rows(0, tokens));
        ops::zero(ctx, gradient);
        ops::matmul(ctx, transposed(dropped.rows(0, tokens)), {y.rows(0, tokens)}, gradient, 0.1, Write::Accumulate);
        ops::adamw(ctx, {1e-2 / static_cast<double>(step), 0.9, 0.999, 1e-8, 0.1, step}, scale, gradient.reshape({128}), m.reshape({128}),
                   v.reshape({128}), w.reshape({128}));
        double sum = 0;
        for (const double number : device.numbers(w)) sum = sum * 1.01 + number;
        out.push_back(sum);
    }
    work = ctx.backend.work_summary();
    return out;
}

}  // namespace

TEST(Graphs, StepsAreThoseWithoutGraphs) {
    std::string work, none;
    EXPECT_EQ(layer(kGraphs, work), layer({}, none));
    EXPECT_EQ(none, "");
    // Five calls a step: of nine tokens the first alone, of five the first, and seven come once.
    EXPECT_EQ(work, "graphs: 30 of 45 calls in 6 launches of 2 graphs, 8 kernels changed, 0 graphs dropped");
}

/// A device that is lost fails every call: what unwinds has the message, and destructors do not bury it.
TEST(EmulatedFailures, AreToldOnce) {
    constexpr cuda::Status kLost{719};
    struct Holder {
        ~Holder() { cuda::report(kLost, "giving back an event"); }
    };
    testing::internal::CaptureStderr();
    try {
        const Holder holder;
        cuda::check(kLost, "waiting for the GPU");
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("waiting for the GPU"), std::string::npos);
    }
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    testing::internal::CaptureStderr();
    { const Holder holder; }
    EXPECT_NE(testing::internal::GetCapturedStderr().find("giving back an event"), std::string::npos);
}

}  // namespace tandem::test
