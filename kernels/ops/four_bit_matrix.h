// A frozen matrix, or a box of one, in blocks of four-bit codes as bitsandbytes keeps them (QLoRA: Dettmers et al., arXiv 2305.14314).
//
// Blocks run over the row-major elements of the whole matrix, wherever a rank's box begins and ends: a box has the codes of its own
// elements and the scales of every block it touches, so that a split matrix has the very values of the whole one.
#pragma once

#include <cstdint>

#include "kernels/base/tensor.h"

namespace tandem {

/// What the sixteen codes stand for: 4-bit NormalFloat, or 4-bit floating-point numbers (sign, 2 bits exponent, 1 bit mantissa).
enum class FourBit : std::uint8_t { NF4, FP4 };

/// Where a box lies among the blocks of a matrix. Numbers only.
struct BlockGrid {
    static constexpr std::int64_t kNested = 256;  ///< blocks whose scales share a scale of their own

    std::int64_t block_size = 64;        ///< elements
    std::int64_t rows = 0, columns = 0;  ///< of the box
    std::int64_t first = 0;              ///< flat index of the box's first element in the whole matrix
    std::int64_t stride = 0;             ///< columns of the whole matrix
    std::int64_t whole_rows = 0;         ///< rows of the whole matrix

    [[nodiscard]] std::int64_t elements() const { return rows * columns; }
    [[nodiscard]] std::int64_t code_bytes() const { return (elements() + 1) / 2; }
    /// Elements that follow one another in the whole matrix as well: all of the box where it has whole rows, else a row of it.
    [[nodiscard]] std::int64_t lines() const { return columns == stride ? 1 : rows; }
    [[nodiscard]] std::int64_t line_elements() const { return columns == stride ? elements() : columns; }
    /// Number, in the whole matrix, of the first element and of the first block of a line.
    [[nodiscard]] std::int64_t line_first(std::int64_t line) const { return first + line * stride; }
    [[nodiscard]] std::int64_t first_block(std::int64_t line) const { return line_first(line) / block_size; }
    /// Scales that are kept for each line: as many as the line with most of them touches.
    [[nodiscard]] std::int64_t line_blocks() const;
    /// Of the whole matrix.
    [[nodiscard]] std::int64_t whole_elements() const { return whole_rows * stride; }
    [[nodiscard]] std::int64_t whole_blocks() const { return (whole_elements() + block_size - 1) / block_size; }
    [[nodiscard]] std::int64_t whole_groups() const { return (whole_blocks() + kNested - 1) / kNested; }

    friend bool operator==(const BlockGrid&, const BlockGrid&) = default;
};

/// Element (i, j) = value[code] * scale in fp32, where code is nibble i * columns + j of `codes` (even ones are the high halves of their
/// bytes) and scale that of the block of the element:
///   absmax[line, block - first_block(line)], or with double quantisation
///   map[absmax[..]] * nested[block / 256] + offset, map the signed dynamic map; two roundings, no fused multiply-add.
struct FourBitMatrix {
    FourBit type = FourBit::NF4;
    BlockGrid grid;
    Tensor codes;   ///< uint8 [code_bytes]
    Tensor absmax;  ///< [lines, line_blocks]: fp32, or uint8 with double quantisation
    Tensor nested;  ///< fp32 [whole_groups]; absent without double quantisation
    Tensor offset;  ///< fp32 [1]; likewise

    [[nodiscard]] bool double_quantized() const { return absmax.dtype() == DType::U8; }
    [[nodiscard]] std::size_t bytes() const { return codes.bytes() + absmax.bytes() + nested.bytes() + offset.bytes(); }
};

}  // namespace tandem
