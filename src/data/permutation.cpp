#include "src/data/permutation.h"

#include <bit>

#include "kernels/base/error.h"
#include "kernels/base/philox.h"

namespace tandem {

namespace {

/// The finalizer of SplitMix64: every input bit reaches every output bit.
std::uint64_t mix(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31U);
}

std::uint64_t low_bits(unsigned count) { return (std::uint64_t{1} << count) - 1; }

}  // namespace

KeyedPermutation::KeyedPermutation(std::int64_t n, std::uint64_t seed, std::uint64_t stream) : n_(static_cast<std::uint64_t>(n)) {
    require(n >= 0, "a permutation of {} elements", n);
    const unsigned bits = n > 1 ? static_cast<unsigned>(std::bit_width(n_ - 1)) : 0;
    right_bits_ = bits - bits / 2;
    left_mask_ = low_bits(bits / 2);
    right_mask_ = low_bits(right_bits_);
    for (std::size_t round = 0; round < kRounds; ++round) {
        const auto words = philox(seed, stream, round);
        keys_[round] = (std::uint64_t{words[0]} << 32U) | words[1];
    }
}

std::uint64_t KeyedPermutation::encrypt(std::uint64_t x) const {
    std::uint64_t left = x >> right_bits_, right = x & right_mask_;
    for (std::size_t round = 0; round < kRounds; round += 2) {
        left ^= mix(right ^ keys_[round]) & left_mask_;
        right ^= mix(left ^ keys_[round + 1]) & right_mask_;
    }
    return (left << right_bits_) | right;
}

std::int64_t KeyedPermutation::operator()(std::int64_t i) const {
    auto x = static_cast<std::uint64_t>(i);
    require(i >= 0 && x < n_, "place {} of a permutation of {} elements", i, n_);
    do {
        x = encrypt(x);
    } while (x >= n_);  // fewer than two rounds on average: the domain is less than twice n
    return static_cast<std::int64_t>(x);
}

}  // namespace tandem
