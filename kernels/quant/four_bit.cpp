#include "kernels/quant/four_bit.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/clones.h"
#include "kernels/base/error.h"

namespace tandem {

namespace {

constexpr std::array<float, 16> kNf4 = {-1.0F,
                                        -0.6961928009986877F,
                                        -0.5250730514526367F,
                                        -0.39491748809814453F,
                                        -0.28444138169288635F,
                                        -0.18477343022823334F,
                                        -0.09105003625154495F,
                                        0.0F,
                                        0.07958029955625534F,
                                        0.16093020141124725F,
                                        0.24611230194568634F,
                                        0.33791524171829224F,
                                        0.44070982933044434F,
                                        0.5626170039176941F,
                                        0.7229568362236023F,
                                        1.0F};
/// Twelfths. Code 8 is a negative zero to bitsandbytes' kernels, on processors and GPUs; its map in files has a positive one.
constexpr std::array<float, 16> kFp4 = {0.0F,  0.0625F / 12,  8.0F / 12,  12.0F / 12,  4.0F / 12,  6.0F / 12,  2.0F / 12,  3.0F / 12,
                                        -0.0F, -0.0625F / 12, -8.0F / 12, -12.0F / 12, -4.0F / 12, -6.0F / 12, -2.0F / 12, -3.0F / 12};

/// Codes by rising value: of FP4's two zeros the first stands for numbers just below 0, and for 0.
constexpr std::array<std::uint8_t, 16> kNf4Order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr std::array<std::uint8_t, 16> kFp4Order = {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3};

/// What quantises a type: a number's code is order[number of midpoints strictly below it].
struct Codebook {
    std::array<float, 15> midpoints;
    std::array<std::uint8_t, 16> order;
    bool rising;  ///< order is 0 to 15
};

constexpr Codebook make_codebook(const std::array<float, 16>& values, const std::array<std::uint8_t, 16>& order) {
    Codebook book{{}, order, order[0] == 0};
    for (std::size_t i = 0; i < 15; ++i) book.midpoints[i] = (values[order[i]] + values[order[i + 1]]) / 2.0F;
    return book;
}
constexpr Codebook kNf4Codebook = make_codebook(kNf4, kNf4Order);
constexpr Codebook kFp4Codebook = make_codebook(kFp4, kFp4Order);

constexpr float kLeastAbsmax = 1e-38F;

/// codes [n] of numbers that are (x * inverse) or (x / scale), whichever the block needs. Codes may alias anything in the compiler's
/// eyes, so all that the loops read is copied to where they cannot.
template <class Scale>
TANDEM_INLINE void quantize_numbers(const Codebook& book, const float* x, std::int64_t n, const Scale& scale, std::uint8_t* codes) {
    const auto midpoints = book.midpoints;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
        const float scaled = scale(x[i]);
        const float lower = scaled < -1.0F ? -1.0F : scaled;
        const float bounded = lower > 1.0F ? 1.0F : lower;
        std::int32_t below = 0;
#pragma GCC unroll 15
        for (std::size_t k = 0; k < 15; ++k) below += midpoints[k] < bounded ? 1 : 0;
        codes[i] = static_cast<std::uint8_t>(below);
    }
    if (book.rising) return;
    const auto order = book.order;
    for (std::int64_t i = 0; i < n; ++i) codes[i] = order[codes[i]];
}

/// Codes of one block; returns its absmax.
TANDEM_CLONES float quantize_block(const Codebook& book, const float* x, std::int64_t n, bool whole, std::uint8_t* codes) {
    float absmax = 0.0F;
#pragma omp simd reduction(max : absmax)
    for (std::int64_t i = 0; i < n; ++i) absmax = std::max(absmax, std::fabs(x[i]));
    const float scale = std::max(absmax, kLeastAbsmax);
    const float inverse = 1.0F / scale;
    if (whole)
        quantize_numbers(
            book, x, n, [=](float number) { return number * inverse; }, codes);
    else
        quantize_numbers(
            book, x, n, [=](float number) { return number / scale; }, codes);
    return whole ? absmax : scale;
}

}  // namespace

std::string_view name(FourBit type) { return type == FourBit::NF4 ? "nf4" : "fp4"; }

FourBit four_bit_type(std::string_view word) {
    for (const FourBit type : {FourBit::NF4, FourBit::FP4}) {
        if (name(type) == word) return type;
    }
    fail(Failure::Run, "'{}' is no four-bit type", word);
}

const std::array<float, 16>& four_bit_values(FourBit type) { return type == FourBit::NF4 ? kNf4 : kFp4; }

void quantize_blocks(FourBit type, std::int64_t block_size, std::span<const float> x, std::span<std::uint8_t> codes,
                     std::span<float> absmax) {
    const auto n = static_cast<std::int64_t>(x.size());
    require(block_size >= 1 && codes.size() == x.size(), "{} codes for {} numbers in blocks of {}", codes.size(), x.size(), block_size);
    const std::int64_t blocks = (n + block_size - 1) / block_size;
    require(static_cast<std::int64_t>(absmax.size()) == blocks, "{} scales for {} blocks", absmax.size(), blocks);
    const Codebook& book = type == FourBit::NF4 ? kNf4Codebook : kFp4Codebook;
    // Fewer blocks are quantised before a second thread has woken up.
#pragma omp parallel for schedule(static) if (n >= 8 * kLargestBlock)
    for (std::int64_t b = 0; b < blocks; ++b) {
        const std::int64_t first = b * block_size;
        const std::int64_t count = std::min(block_size, n - first);
        absmax[static_cast<std::size_t>(b)] = quantize_block(book, x.data() + first, count, count == block_size, codes.data() + first);
    }
}

}  // namespace tandem
