// AdamW with eight-bit moments: every backend has the bits of the reference, where numbers are ordinary, tiny or zero.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/ops/optimizer.h"
#include "kernels/quant/dynamic_map.h"
#include "tests/kernels/candidates.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

/// Three steps on one backend: blocks of zeros, of tiny numbers and of ordinary ones, the last of them short.
std::vector<std::vector<double>> eight_bit_steps(Device& device, std::int64_t n) {
    const auto f32 = [&](std::int64_t size, double value) { return device.filled({size}, DType::F32, value); };
    const auto u8 = [&] { return device.filled({n}, DType::U8, 0); };
    const std::int64_t blocks = (n + EightBitMoments::kBlock - 1) / EightBitMoments::kBlock;
    const Tensor master = device.random({n}, DType::F32, 5), scale = device.filled({1}, DType::F64, 0.37);
    const EightBitMoments moments{u8(), u8(), f32(blocks, 0), f32(blocks, 0)};
    for (std::int64_t step = 1; step <= 3; ++step) {
        auto gradient = device.numbers(device.random({n}, DType::F32, 10 + static_cast<std::uint64_t>(step)));
        for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] *= i / 256 % 3 == 0 ? 0.0 : i / 256 % 3 == 1 ? 0x1p-130 : 1.0;
        ops::adamw_8bit(device.context(), {1e-2, 0.9, 0.999, 1e-8, 0.1, step}, scale, device.tensor({n}, DType::F32, gradient), moments,
                        master);
    }
    std::vector<std::vector<double>> all;
    for (const Tensor& x : {master, moments.m, moments.v, moments.m_absmax, moments.v_absmax}) all.push_back(device.numbers(x));
    return all;
}

}  // namespace

TEST(EightBitMoments, TheBitsAreTheReferences) {
    for (const std::int64_t n : {1, 2, 255, 256, 1023, 2309}) {
        Device reference;
        const auto expected = eight_bit_steps(reference, n);
        for (const Candidate& candidate : reference_and_candidates()) {
            Device device(candidate.make());
            EXPECT_EQ(eight_bit_steps(device, n), expected) << candidate.name << " " << n;
        }
    }
}

TEST(EightBitMoments, CodesFollowFromTheirFirstPlaces) {
    for (const auto signedness : {Signedness::Signed, Signedness::Unsigned}) {
        std::vector<float> x{1.0F, -1.0F, 0.0F};
        for (std::uint32_t i = 0; i < 5000; ++i)
            x.push_back(std::bit_cast<float>((i % 2 << 31U) + 0x30000000U + philox(3, 0, i)[0] % 0xf800000U));
        std::vector<std::uint8_t> codes(x.size());
        std::vector<float> absmax(1);
        quantize_dynamic(signedness, static_cast<std::int64_t>(x.size()), x, codes, absmax);
        ASSERT_EQ(absmax[0], 1.0F);
        for (std::size_t i = 0; i < x.size(); ++i) {
            const auto place = static_cast<int>((x[i] + 1.0F) * 0.5F * 65535.0F + 0.5F);
            const auto& first = first_places(signedness);
            EXPECT_EQ(codes[i], std::ranges::upper_bound(first, place) - first.begin() - 1) << x[i];
        }
    }
}

}  // namespace tandem::test
