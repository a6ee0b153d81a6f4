// Eight-bit blockwise quantisation with the dynamic maps of Dettmers et al., "8-bit Optimizers via Block-wise Quantization" (arXiv
// 2110.02861), to the bit as bitsandbytes does it (its CPU path). Used for the scales of four-bit blocks and for optimizer states.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace tandem {

enum class Signedness : std::uint8_t { Signed, Unsigned };

/// 256 rising values in [-1, 1], or [0, 1].
[[nodiscard]] const std::array<float, 256>& dynamic_map(Signedness signedness);
/// What quantises: a number x in [-1, 1] is at place int((x + 1) / 2 * 65535 + 0.5), in fp32, and its code is the largest whose first
/// place is not beyond that. Of code 0 it is 0.
[[nodiscard]] const std::array<std::uint16_t, 256>& first_places(Signedness signedness);

/// codes [n] and absmax [ceil(n / block_size)] of x [n], block by block; the last one may be shorter.
void quantize_dynamic(Signedness signedness, std::int64_t block_size, std::span<const float> x, std::span<std::uint8_t> codes,
                      std::span<float> absmax);
/// map[code] * absmax, in fp32.
void dequantize_dynamic(Signedness signedness, std::int64_t block_size, std::span<const std::uint8_t> codes, std::span<const float> absmax,
                        std::span<float> x);

}  // namespace tandem
