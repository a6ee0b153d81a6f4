// Block formats of ggml (https://github.com/ggml-org/ggml, docs of the GGUF format): how many elements a block holds, in how
// many bytes, and what they are as fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tandem {

/// Element type of a GGUF tensor: the number in the file. Only the types that can be decoded have names here.
enum class GgmlType : std::uint32_t {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    F64 = 28,
    BF16 = 30,
};

struct GgmlBlock {
    std::string_view name;
    std::size_t elements;  ///< of one block, along a row
    std::size_t bytes;
    bool decodable;
};

/// Nothing for a number that ggml does not assign (or no longer does).
[[nodiscard]] const GgmlBlock* find_ggml_block(GgmlType type);

/// The same for a type that a GgufFile has accepted.
[[nodiscard]] const GgmlBlock& ggml_block(GgmlType type);

/// "F32 F16 Q4_0 ...": what dequantize() can decode.
[[nodiscard]] std::string decodable_ggml_types();

/// Whole blocks to fp32, bit for bit what ggml's reference gives. `blocks.size()` is a multiple of the block's bytes, and
/// `values.size()` the elements in them. Throws Run for a type that is not decodable.
void dequantize(GgmlType type, std::span<const std::byte> blocks, std::span<float> values);

}  // namespace tandem
