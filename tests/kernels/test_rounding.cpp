// Roundings on the way that belong to an op's definition, and that a tolerance of an ulp or two would not miss.
#include <gtest/gtest.h>

#include "kernels/ops/matmul.h"
#include "kernels/ops/rmsnorm.h"
#include "tests/kernels/candidates.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

std::vector<double> normalised(Device& device, DType type, double weight_offset) {
    const Tensor x = device.random({8, 512}, type, 1), w = device.random({512}, type, 2), y = device.filled({8, 512}, type, 0);
    ops::rmsnorm(device.context(), {1e-6, weight_offset}, x, w, y, {});
    return device.numbers(y);
}

}  // namespace

// A quarter of the numbers differ where x rstd is rounded and should not be, or the other way round.
TEST(Rounding, RmsnormRoundsBeforeTheWeightWhereThereIsNoOffset) {
    for (const DType type : {DType::BF16, DType::F16}) {
        for (const double offset : {0.0, 1.0}) {
            for (const Candidate& candidate : reference_and_candidates()) {
                Device device(candidate.make()), reference;
                const auto got = normalised(device, type, offset), expected = normalised(reference, type, offset);
                std::size_t different = 0;
                for (std::size_t i = 0; i < got.size(); ++i) different += got[i] == expected[i] ? 0 : 1;
                EXPECT_LE(different, got.size() / 50) << candidate.name << " " << name(type) << " offset " << offset;
            }
        }
    }
}

/// The product alone is a tie, which rounds to 1; with the bias it is above, and rounds up. Of one row, and of many.
TEST(Rounding, AProductAndItsBiasAreRoundedOnce) {
    for (const std::int64_t rows : {1, 70}) {
        for (const Candidate& candidate : reference_and_candidates()) {
            Device device(candidate.make());
            const Tensor x = device.filled({rows, 2}, DType::BF16, 1), w = device.tensor({1, 2}, DType::BF16, {1.0, 0x1p-8});
            const Tensor bias = device.filled({1}, DType::BF16, 0x1p-12), y = device.filled({rows, 1}, DType::BF16, 0);
            ops::matmul_bias(device.context(), {x}, transposed(w), bias, y);
            EXPECT_EQ(device.numbers(y), std::vector<double>(static_cast<std::size_t>(rows), 1.0 + 0x1p-7)) << candidate.name;
        }
    }
}

}  // namespace tandem::test
