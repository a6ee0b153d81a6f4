// Four-bit quantisation on the host, to the bit as bitsandbytes does it (its CPU path).
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "kernels/ops/four_bit_matrix.h"

namespace tandem {

inline constexpr std::int64_t kLeastBlock = 32, kLargestBlock = 4096;  ///< elements; powers of two between

/// Whether bitsandbytes has blocks of so many elements.
[[nodiscard]] constexpr bool is_block_size(std::int64_t n) { return n >= kLeastBlock && n <= kLargestBlock && (n & (n - 1)) == 0; }

/// "nf4", "fp4": bitsandbytes' names.
[[nodiscard]] std::string_view name(FourBit type);
/// The other way; any other word is a programming error.
[[nodiscard]] FourBit four_bit_type(std::string_view name);
/// What code i stands for.
[[nodiscard]] const std::array<float, 16>& four_bit_values(FourBit type);

/// Codes (0 to 15, one a byte) and absmax of consecutive blocks of x, which begins with a block; the last one may be shorter. x finite.
/// absmax [ceil(n / block_size)]; codes [n]. Long stretches are shared by the threads of OpenMP.
void quantize_blocks(FourBit type, std::int64_t block_size, std::span<const float> x, std::span<std::uint8_t> codes,
                     std::span<float> absmax);

}  // namespace tandem
