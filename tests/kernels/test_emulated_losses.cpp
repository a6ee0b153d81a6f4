// Labels that ops::cross_entropy does not allow end the launch: on a GPU nobody else can see them. And sums of more losses than the
// table of cases has.
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/stream.h"
#include "kernels/cuda/sums.cuh"
#include "kernels/ops/cross_entropy.h"
#include "tests/kernels/device.h"
#include "tests/support/emulator/emulator.h"

namespace tandem::test {

namespace {

/// What an op says of one row of seven logits with this label; "fine" where it says nothing.
template <class F>
std::string outcome(double label, F op) {
    Device device(std::make_unique<CudaBackend>(0));
    const Tensor logits = device.random({1, 7}, DType::F32, 1), statistics = device.filled({1, 3}, DType::F32, 1);
    const Tensor labels = device.tensor({1}, DType::I32, {label}), loss = device.filled({1}, DType::F64, 0);
    try {
        op(device.context(), logits, labels, statistics, loss);
        device.context().stream.synchronize();
    } catch (const Error& error) {
        emulator::take_fault();
        return error.what();
    }
    return "fine";
}

void expect_refused(const std::string& message) { EXPECT_NE(message.find("the kernel gave up"), std::string::npos) << message; }

}  // namespace

TEST(EmulatedLabels, OutsideTheVocabulary) {
    for (const auto order : {emulator::Order::Forward, emulator::Order::Shuffled}) {
        emulator::set_order(order);
        const auto whole = [](Context& ctx, const Tensor& z, const Tensor& labels, const Tensor&, const Tensor& loss) {
            ops::cross_entropy(ctx, z, labels, loss, {});
        };
        const auto part = [](Context& ctx, const Tensor& z, const Tensor& labels, const Tensor& statistics, const Tensor&) {
            ops::cross_entropy_statistics(ctx, z, labels, statistics);
        };
        const auto combined = [](Context& ctx, const Tensor& z, const Tensor& labels, const Tensor& statistics, const Tensor& loss) {
            ops::cross_entropy_from_statistics(ctx, z, labels, statistics.reshape({1, 1, 3}), loss, {});
        };
        EXPECT_EQ(outcome(6, whole), "fine");
        expect_refused(outcome(7, whole));
        expect_refused(outcome(-1, whole));
        EXPECT_EQ(outcome(-1, part), "fine");
        expect_refused(outcome(-2, part));
        expect_refused(outcome(7, part));
        EXPECT_EQ(outcome(-1, combined), "fine");
        expect_refused(outcome(-2, combined));
        expect_refused(outcome(7, combined));
    }
}

TEST(EmulatedSums, OfMorePartsThanThreads) {
    Device device(std::make_unique<CudaBackend>(0));
    std::vector<double> parts(1000);
    std::iota(parts.begin(), parts.end(), 1.0);
    const Tensor x = device.tensor({1000}, DType::F64, parts), sum = device.filled({1}, DType::F64, 0.5);
    ASSERT_TRUE(cuda::launch_add_parts(x.data<double>(), 1000, sum.data<double>(), cuda::queue(device.context().stream)).ok());
    EXPECT_EQ(device.numbers(sum), std::vector<double>{500500.5});
}

}  // namespace tandem::test
