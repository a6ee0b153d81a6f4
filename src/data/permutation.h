// A random order that is computed rather than stored: a keyed bijection of [0, n) with O(1) random access.
#pragma once

#include <array>
#include <cstdint>

namespace tandem {

/// Feistel network over the smallest power of two >= n, with cycle walking (Black & Rogaway, "Ciphers with arbitrary finite
/// domains", CT-RSA 2002). A pure function of (n, seed, stream): every rank computes the same order.
class KeyedPermutation {
public:
    /// n >= 0; `stream` separates the orders of one seed (the epoch).
    KeyedPermutation(std::int64_t n, std::uint64_t seed, std::uint64_t stream);

    /// The element at place `i` in [0, n).
    [[nodiscard]] std::int64_t operator()(std::int64_t i) const;

private:
    static constexpr std::size_t kRounds = 8;
    [[nodiscard]] std::uint64_t encrypt(std::uint64_t x) const;

    std::uint64_t n_;
    unsigned right_bits_ = 0;
    std::uint64_t left_mask_ = 0, right_mask_ = 0;
    std::array<std::uint64_t, kRounds> keys_{};
};

}  // namespace tandem
