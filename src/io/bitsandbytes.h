// Four-bit weights in safetensors files, as bitsandbytes' Linear4bit saves them. A matrix `X` of n elements is
//   X                                      its codes, two a byte: [ceil(n / 2), 1] uint8, or the same bytes under another type
//                                          (bnb_4bit_quant_storage: FSDP wants one type throughout)
//   X.absmax                               the blocks' scales: fp32, or with double quantisation uint8
//   X.nested_absmax, X.nested_quant_map    fp32, with double quantisation: a scale of each 256 scales, and the map of their codes
//   X.quant_map                            fp32 [16], what the codes stand for
//   X.quant_state.bitsandbytes__nf4        uint8: JSON with what is not a tensor (or ..__fp4)
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/ops/four_bit_matrix.h"
#include "src/io/safetensors_writer.h"

namespace tandem {

/// A whole matrix in four-bit blocks, without its numbers.
struct FourBitLayout {
    FourBit type = FourBit::NF4;
    std::int64_t block_size = 64;  ///< elements
    bool double_quant = true;
    DType original = DType::BF16;  ///< what it was before: bf16, fp16 or fp32
    Shape shape;                   ///< [out, in]

    [[nodiscard]] std::int64_t elements() const { return shape.elements(); }
    [[nodiscard]] std::int64_t code_bytes() const { return (elements() + 1) / 2; }
    [[nodiscard]] std::int64_t blocks() const { return (elements() + block_size - 1) / block_size; }
    [[nodiscard]] std::int64_t groups() const { return (blocks() + BlockGrid::kNested - 1) / BlockGrid::kNested; }
};

/// What follows the name of a matrix in the names of its companions.
namespace four_bit_suffix {
inline constexpr std::string_view kAbsmax = ".absmax", kMap = ".quant_map", kNestedAbsmax = ".nested_absmax",
                                  kNestedMap = ".nested_quant_map", kState = ".quant_state.bitsandbytes__";
}

/// "bfloat16": torch's names of the floating-point types.
[[nodiscard]] std::string_view torch_name(DType dtype);

/// The JSON text of `X.quant_state...`, to the byte as Python's json.dumps has it. `offset` is for double quantisation.
[[nodiscard]] std::string quant_state_text(const FourBitLayout& layout, float offset);
/// The other way. Input errors name `where` and the key.
struct QuantState {
    FourBitLayout layout;
    float offset = 0;
};
[[nodiscard]] QuantState parse_quant_state(std::string_view text, FourBit type, const std::string& where);

/// `X.quant_map`: what the codes stand for, every zero positive.
[[nodiscard]] std::array<float, 16> stored_map(FourBit type);

/// Every tensor of a matrix's, in the order in which bitsandbytes lists them. The state's length is known only with the offset: its spec
/// is `open` with the most that it can be.
[[nodiscard]] std::vector<TensorSpec> four_bit_specs(const std::string& matrix, const FourBitLayout& layout);

/// Elements from `first` on: value * scale in fp32. `codes` begin with the byte of the even element `base`; absmax [blocks].
void dequantize_elements(const FourBitLayout& layout, std::span<const float> absmax, const std::uint8_t* codes, std::int64_t base,
                         std::int64_t first, std::span<float> out);

}  // namespace tandem
