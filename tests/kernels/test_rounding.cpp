// Roundings on the way that belong to an op's definition, and that a tolerance of an ulp or two would not miss.
#include <gtest/gtest.h>

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

}  // namespace tandem::test
