// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a counter-based generator, so
// that every random element is a function of its name and index and not of how the work was split.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

// Kernels draw by the same function: this header is one that nvcc reads.
#ifdef __CUDACC__
#define TANDEM_HOST_DEVICE __host__ __device__
#else
#define TANDEM_HOST_DEVICE
#endif

namespace tandem {

struct PhiloxWords {
    std::uint32_t x, y, z, w;
};

/// Four uniform 32-bit words for (key, counter_high, counter_low).
TANDEM_HOST_DEVICE inline PhiloxWords philox_words(std::uint64_t key, std::uint64_t counter_high, std::uint64_t counter_low) {
    auto k0 = static_cast<std::uint32_t>(key);
    auto k1 = static_cast<std::uint32_t>(key >> 32U);
    PhiloxWords c{static_cast<std::uint32_t>(counter_low), static_cast<std::uint32_t>(counter_low >> 32U),
                  static_cast<std::uint32_t>(counter_high), static_cast<std::uint32_t>(counter_high >> 32U)};
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c.x;
        const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * c.z;
        c = {static_cast<std::uint32_t>(p1 >> 32U) ^ c.y ^ k0, static_cast<std::uint32_t>(p1),
             static_cast<std::uint32_t>(p0 >> 32U) ^ c.w ^ k1, static_cast<std::uint32_t>(p0)};
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    return c;
}

/// The same, to be indexed.
inline std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter_high, std::uint64_t counter_low) {
    const PhiloxWords words = philox_words(key, counter_high, counter_low);
    return {words.x, words.y, words.z, words.w};
}

/// Word `column` of a row of random words, of which four share a counter.
TANDEM_HOST_DEVICE inline std::uint32_t philox_word(std::uint64_t key, std::uint64_t row, std::uint64_t column) {
    const PhiloxWords words = philox_words(key, row, column / 4);
    const std::uint32_t low = column % 2 == 0 ? words.x : words.y, high = column % 2 == 0 ? words.z : words.w;
    return column % 4 < 2 ? low : high;
}

/// Uniform in [0, 1) with 24 bits, exact in fp32.
inline float uniform01(std::uint32_t word) { return static_cast<float>(word >> 8U) * 0x1p-24F; }

/// uniform01(word) >= p, in integers: word >> 8 is at least this.
inline std::uint32_t uniform01_threshold(double p) { return static_cast<std::uint32_t>(std::ceil(p * 0x1p24)); }

/// Standard normal by Box-Muller from two words.
inline double standard_normal(std::uint32_t a, std::uint32_t b) {
    const double u = (static_cast<double>(a) + 1.0) * 0x1p-32;  // (0, 1]
    const double v = static_cast<double>(b) * 0x1p-32;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

/// FNV-1a of a text, the key of a named tensor's random elements.
template <class Text>
constexpr std::uint64_t hash_name(const Text& text) {
    std::uint64_t h = 0xcbf29ce484222325U;
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return h;
}

}  // namespace tandem
