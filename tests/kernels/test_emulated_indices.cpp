// Indices that only the device sees. On a GPU the first of these would be the last: the emulator has a new device for each.
#include <gtest/gtest.h>

#include "kernels/cuda/backend_cuda.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/rope.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

constexpr std::int64_t kRows = 5;

/// What reading `result`, which `op` writes with this index among good ones, says.
std::string outcome(double index, const std::function<Tensor(Device&, const Tensor& indices)>& op) {
    Device device(std::make_unique<CudaBackend>(0));
    try {
        const Tensor result = op(device, device.tensor({3}, DType::I32, {0.0, index, 4.0}));
        static_cast<void>(device.numbers(result));
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

void expect_range(std::int64_t lowest, const std::string& kernel, const std::function<Tensor(Device&, const Tensor& indices)>& op) {
    for (const double good : {static_cast<double>(lowest), 3.0}) EXPECT_EQ(outcome(good, op), "") << kernel << " with " << good;
    for (const double bad : {static_cast<double>(lowest - 1), static_cast<double>(kRows), 2147483647.0, -2147483648.0}) {
        const std::string text = outcome(bad, op);
        EXPECT_NE(text.find(kernel + ": block"), std::string::npos) << bad << ": " << text;
        EXPECT_NE(text.find("the kernel gave up"), std::string::npos) << bad << ": " << text;
    }
}

}  // namespace

TEST(EmulatedIndices, OutsideOfTheRowsTheyEndTheLaunch) {
    expect_range(-1, "indexed copy", [](Device& d, const Tensor& ids) {
        const Tensor y = d.filled({3, 4}, DType::BF16, 0);
        ops::embedding(d.context(), d.filled({kRows, 4}, DType::BF16, 1), ids, y);
        return y;
    });
    expect_range(-1, "token ranks", [](Device& d, const Tensor& ids) {
        const Tensor dtable = d.filled({kRows, 4}, DType::F32, 0);
        ops::embedding_backward(d.context(), d.filled({3, 4}, DType::BF16, 1), ids, dtable);
        return dtable;
    });
    expect_range(0, "indexed copy", [](Device& d, const Tensor& index) {
        const Tensor y = d.filled({3, 3}, DType::F32, 0);
        ops::gather_rows(d.context(), d.filled({kRows, 3}, DType::F32, 1), index, y);
        return y;
    });
    expect_range(0, "rope", [](Device& d, const Tensor& positions) {
        const Tensor x = d.filled({3, 2, 4}, DType::F16, 1), angles = d.filled({kRows, 2}, DType::F32, 0.5);
        ops::rope(d.context(), Rotation::Forward, angles, angles, positions, x);
        return x;
    });
}

TEST(EmulatedIndices, ScatteredOutsideOfTheRowsTheyEndTheLaunch) {
    // Distinct from its neighbours 0 and 4, as the op asks for.
    const auto scatter = [](Device& d, const Tensor& index) {
        const Tensor y = d.filled({kRows, 3}, DType::BF16, 0);
        ops::scatter_rows(d.context(), d.filled({3, 3}, DType::BF16, 1), index, y);
        return y;
    };
    EXPECT_EQ(outcome(2, scatter), "");
    for (const double bad : {-1.0, static_cast<double>(kRows)})
        EXPECT_NE(outcome(bad, scatter).find("the kernel gave up"), std::string::npos) << bad;
}

TEST(EmulatedIndices, RowsOfEveryType) {
    Device device(std::make_unique<CudaBackend>(0));
    const Tensor index = device.tensor({2}, DType::I32, {3, 1});
    for (const DType type : {DType::U8, DType::I32, DType::I64, DType::F64, DType::F16}) {
        std::vector<double> numbers(20);
        for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
        const Tensor x = device.tensor({4, 5}, type, numbers).columns(1, 4), y = device.filled({2, 3}, type, 0);
        ops::gather_rows(device.context(), x, index, y);
        EXPECT_EQ(device.numbers(y), (std::vector<double>{16, 17, 18, 6, 7, 8})) << name(type);
    }
}

}  // namespace tandem::test
