#include "kernels/quant/dynamic_map.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "kernels/base/clones.h"
#include "kernels/base/error.h"

namespace tandem {

namespace {

/// torch.linspace(0.1, 1, count)[i] in fp32: counted from the nearer end, with a fused multiply-add.
float boundary(int i, int count) {
    const float step = (1.0F - 0.1F) / static_cast<float>(count - 1);
    return i < count / 2 ? std::fma(step, static_cast<float>(i), 0.1F) : std::fma(-step, static_cast<float>(count - 1 - i), 1.0F);
}

/// Seven decades, each with twice the values of the one below: the middles between equally spaced boundaries. And 0 and 1.
std::array<float, 256> make_map(Signedness signedness) {
    constexpr std::array<float, 7> kDecade = {1e-6F, 1e-5F, 1e-4F, 1e-3F, 1e-2F, 1e-1F, 1.0F};
    std::array<float, 256> map{0.0F, 1.0F};
    std::size_t next = 2;
    for (std::size_t i = 0; i < kDecade.size(); ++i) {
        const int bins = (signedness == Signedness::Signed ? 1 : 2) << i;
        for (int j = 0; j < bins; ++j) {
            const float value = kDecade[i] * ((boundary(j, bins + 1) + boundary(j + 1, bins + 1)) / 2.0F);
            map[next++] = value;
            if (signedness == Signedness::Signed) map[next++] = -value;
        }
    }
    std::sort(map.begin(), map.end());
    return map;
}

/// Codes of 65536 numbers between -1 and 1. bitsandbytes' processor path quantises by looking a number up here, so that numbers
/// of the innermost 1.5e-5 share a code, 0 among them.
constexpr int kPlaces = 65536;
using CodeTable = std::array<std::uint8_t, kPlaces>;

std::unique_ptr<const CodeTable> make_code_table(const std::array<float, 256>& map) {
    auto table = std::make_unique<CodeTable>();
    std::size_t code = 0;
    for (int i = 0; i < kPlaces; ++i) {
        const float value = -1.0F + (2.0F * static_cast<float>(i)) / static_cast<float>(kPlaces - 1);
        while (code < map.size() - 1 && 0.5F * (map[code] + map[code + 1]) < value) ++code;
        (*table)[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(code);
    }
    return table;
}

const CodeTable& code_table(Signedness signedness) {
    static const auto with_sign = make_code_table(dynamic_map(Signedness::Signed));
    static const auto without = make_code_table(dynamic_map(Signedness::Unsigned));
    return signedness == Signedness::Signed ? *with_sign : *without;
}

std::array<std::uint16_t, 256> make_first_places(const CodeTable& table) {
    std::array<std::uint16_t, 256> first{};
    std::size_t next = 0;
    for (int i = 0; i < kPlaces; ++i) {
        while (next <= table[static_cast<std::size_t>(i)]) first[next++] = static_cast<std::uint16_t>(i);
    }
    require(next == first.size(), "the largest number has code {}", next - 1);
    return first;
}

constexpr std::int64_t kChunk = 256;

/// Codes of one block; returns its absmax.
TANDEM_CLONES float quantize_block(const std::uint8_t* table, const float* x, std::int64_t n, std::uint8_t* codes) {
    float absmax = 0.0F;
#pragma omp simd reduction(max : absmax)
    for (std::int64_t i = 0; i < n; ++i) absmax = std::max(absmax, std::fabs(x[i]));
    if (absmax == 0.0F) {
        std::fill_n(codes, n, std::uint8_t{0});
        return 0.0F;
    }
    const float inverse = 1.0F / absmax;
    std::int32_t places[kChunk];  // the look-up does not vectorise, all before it does
    for (std::int64_t first = 0; first < n; first += kChunk) {
        const std::int64_t count = std::min(kChunk, n - first);
#pragma omp simd
        for (std::int64_t i = 0; i < count; ++i) {
            const float scaled = x[first + i] * inverse;  // NaN for a 0 where absmax is too small to have an inverse
            const float lower = scaled < -1.0F ? -1.0F : scaled;
            const float bounded = lower > 1.0F ? 1.0F : lower;
            const float place = (bounded + 1.0F) * 0.5F * static_cast<float>(kPlaces - 1) + 0.5F;  // fused or not: no code differs
            places[i] = static_cast<std::int32_t>(place == place ? place : 0.0F);
        }
        for (std::int64_t i = 0; i < count; ++i) codes[first + i] = table[places[i]];
    }
    return absmax;
}

TANDEM_CLONES void dequantize_block(const float* map, const std::uint8_t* codes, std::int64_t n, float absmax, float* x) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) x[i] = map[codes[i]] * absmax;
}

}  // namespace

const std::array<float, 256>& dynamic_map(Signedness signedness) {
    static const auto with_sign = make_map(Signedness::Signed);
    static const auto without = make_map(Signedness::Unsigned);
    return signedness == Signedness::Signed ? with_sign : without;
}

const std::array<std::uint16_t, 256>& first_places(Signedness signedness) {
    static const auto with_sign = make_first_places(code_table(Signedness::Signed));
    static const auto without = make_first_places(code_table(Signedness::Unsigned));
    return signedness == Signedness::Signed ? with_sign : without;
}

void quantize_dynamic(Signedness signedness, std::int64_t block_size, std::span<const float> x, std::span<std::uint8_t> codes,
                      std::span<float> absmax) {
    const auto n = static_cast<std::int64_t>(x.size());
    require(block_size >= 1 && codes.size() == x.size(), "{} codes for {} numbers in blocks of {}", codes.size(), x.size(), block_size);
    const std::int64_t blocks = (n + block_size - 1) / block_size;
    require(static_cast<std::int64_t>(absmax.size()) == blocks, "{} scales for {} blocks", absmax.size(), blocks);
    const CodeTable& table = code_table(signedness);
    for (std::int64_t b = 0; b < blocks; ++b) {
        const std::int64_t first = b * block_size;
        absmax[static_cast<std::size_t>(b)] =
            quantize_block(table.data(), x.data() + first, std::min(block_size, n - first), codes.data() + first);
    }
}

void dequantize_dynamic(Signedness signedness, std::int64_t block_size, std::span<const std::uint8_t> codes, std::span<const float> absmax,
                        std::span<float> x) {
    require(block_size >= 1 && codes.size() == x.size(), "{} codes for {} numbers in blocks of {}", codes.size(), x.size(), block_size);
    const auto n = static_cast<std::int64_t>(x.size());
    const std::int64_t blocks = (n + block_size - 1) / block_size;
    require(static_cast<std::int64_t>(absmax.size()) == blocks, "{} scales for {} blocks", absmax.size(), blocks);
    const auto& map = dynamic_map(signedness);
    for (std::int64_t b = 0; b < blocks; ++b) {
        const std::int64_t first = b * block_size;
        dequantize_block(map.data(), codes.data() + first, std::min(block_size, n - first), absmax[static_cast<std::size_t>(b)],
                         x.data() + first);
    }
}

}  // namespace tandem
