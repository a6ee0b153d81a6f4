// Divisions into samples that only the device sees. On a GPU the first impossible one would be the last: the emulator has a new device
// for each.
#include <gtest/gtest.h>

#include "kernels/cuda/backend_cuda.h"
#include "kernels/ops/attention.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

using Offsets = std::vector<double>;
enum class Pass { Forward, Backward };

/// What reading the results of 3 queries and 3 keys divided like this says.
std::string outcome(Pass pass, DType type, const Offsets& q_offsets, const Offsets& k_offsets, std::int64_t longest,
                    AttentionKernels attention = AttentionKernels::Auto) {
    Device device(std::make_unique<CudaBackend>(0, DeviceOptions{.attention = attention}));
    const Shape count{static_cast<std::int64_t>(q_offsets.size())}, shape{3, 1, 8};
    const Segments s{device.tensor(count, DType::I32, q_offsets), device.tensor(count, DType::I32, k_offsets), longest};
    const Tensor x = device.random(shape, type, 1), y = device.filled(shape, type, 0), lse = device.filled({1, 3}, DType::F32, 0);
    try {
        if (pass == Pass::Forward) {
            ops::attention(device.context(), {}, s, x, x, x, y, lse);
        } else {
            const Tensor dk = device.filled(shape, type, 0), dv = device.filled(shape, type, 0);
            ops::attention_backward(device.context(), {}, s, x, x, x, x, x, lse, y, dk, dv);
        }
        static_cast<void>(device.numbers(y));
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

}  // namespace

class EmulatedSamples : public testing::TestWithParam<DType> {};

TEST_P(EmulatedSamples, ImpossibleOnesEndTheLaunch) {
    const auto expect_refused = [](Pass pass, const Offsets& q, const Offsets& k, std::int64_t longest) {
        const std::string text = outcome(pass, GetParam(), q, k, longest);
        EXPECT_NE(text.find("the kernel gave up"), std::string::npos) << text;
    };
    for (const Pass pass : {Pass::Forward, Pass::Backward}) {
        EXPECT_EQ(outcome(pass, GetParam(), {0, 1, 3}, {0, 1, 3}, 2), "");
        expect_refused(pass, {0, 1, 2}, {0, 1, 3}, 2);   // a query outside of every sample
        expect_refused(pass, {0, 2, 3}, {0, 1, 3}, 2);   // more queries than keys
        expect_refused(pass, {0, 4, 3}, {0, 4, 3}, 4);   // not ascending
        expect_refused(pass, {0, -1, 3}, {0, 1, 3}, 4);  // below the first
        expect_refused(pass, {0, 1, 9}, {0, 1, 9}, 8);   // behind the last
        expect_refused(pass, {0, 1, 3}, {0, 1, 3}, 1);   // longer than declared
    }
    EXPECT_NE(outcome(Pass::Forward, GetParam(), {0}, {0}, 0), "");  // no sample has these tokens
}

TEST_P(EmulatedSamples, BeforeALibraryHasThemToo) {
    const auto by_library = [](const Offsets& q, const Offsets& k, std::int64_t longest) {
        return outcome(Pass::Forward, GetParam(), q, k, longest, AttentionKernels::Cudnn);
    };
    EXPECT_EQ(by_library({0, 1, 3}, {0, 1, 3}, 2), "");
    for (const auto& [q, k, longest] : {std::tuple<Offsets, Offsets, std::int64_t>{{0, 1, 2}, {0, 1, 3}, 2},
                                        {{0, 1, 3}, {0, 2, 3}, 2},  // as many in all, not in each
                                        {{0, 4, 3}, {0, 4, 3}, 4},
                                        {{0, -1, 3}, {0, -1, 3}, 4},
                                        {{0, 1, 9}, {0, 1, 9}, 8},
                                        {{0, 1, 3}, {0, 1, 3}, 1}}) {
        const std::string text = by_library(q, k, longest);
        EXPECT_NE(text.find("the kernel gave up"), std::string::npos) << text;
    }
}

INSTANTIATE_TEST_SUITE_P(, EmulatedSamples, testing::Values(DType::F32, DType::BF16),
                         [](const auto& row) { return std::string(name(row.param)); });

}  // namespace tandem::test
