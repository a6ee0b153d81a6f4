// Normally distributed numbers that are functions of (key, seed, index) alone, to the bit on every processor: weights that several ranks
// draw must be equal wherever the ranks run.
#pragma once

#include <cstdint>
#include <span>

namespace tandem {

/// out[i] = standard normal number `first` + i of (key, seed): Box-Muller on words 0, 1 (even numbers) or 2, 3 (odd ones) of
/// philox(key, seed, number / 2), logarithm and cosine by polynomials to 1e-14.
void standard_normals(std::uint64_t key, std::uint64_t seed, std::uint64_t first, std::span<double> out);

}  // namespace tandem
