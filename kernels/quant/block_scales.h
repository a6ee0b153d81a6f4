// The scales of all blocks of a four-bit matrix, on the host, as files have them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tandem {

/// Either absmax, or with double quantisation codes, nested and offset: absmax = map[code] * nested[block / 256] + offset.
struct BlockScales {
    std::vector<float> absmax;        ///< [blocks]; empty with double quantisation
    std::vector<std::uint8_t> codes;  ///< [blocks]
    std::vector<float> nested;        ///< [ceil(blocks / 256)]
    float offset = 0;
    [[nodiscard]] bool double_quantized() const { return !codes.empty(); }
};

/// Double quantisation of a whole matrix's absmax. The offset is their mean, summed in the order of torch.mean on a processor, one
/// thread and vectors of eight: bitsandbytes' offset on a CPU. (On a GPU torch sums in another order; the last bit may differ.)
[[nodiscard]] BlockScales quantize_scales(std::span<const float> absmax);
/// absmax of every block.
[[nodiscard]] std::vector<float> dequantize_scales(const BlockScales& scales);

}  // namespace tandem
