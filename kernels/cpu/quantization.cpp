#include "kernels/ops/quantization.h"

#include <array>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"
#include "kernels/quant/dynamic_map.h"
#include "kernels/quant/four_bit.h"

namespace tandem {

namespace cpu {

namespace {

/// Consecutive elements of the whole matrix.
struct CodeRun {
    const float* values;        ///< [16], of the type
    const std::uint8_t* codes;  ///< of the box
    std::int64_t nibble;        ///< where the run's codes begin
    std::int64_t phase;         ///< elements of its first block that come before it
    std::int64_t count;
    std::int64_t block_size;
    const float* scales;  ///< of its blocks
};

/// Sixteen bytes: the largest vector that every instruction set can look another one up in at once.
using Bytes = std::uint8_t __attribute__((vector_size(16), may_alias));
using UnalignedBytes = std::uint8_t __attribute__((vector_size(16), aligned(1), may_alias));

constexpr Bytes kLowHalves = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
constexpr Bytes kHighHalves = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
constexpr Bytes kLowPairs = {0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23};
constexpr Bytes kHighPairs = {8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31};

/// What the codes stand for in one block: the results themselves, rounded, so that an element costs a look-up and nothing else.
template <class T>
struct BlockTable {
    Bytes planes[sizeof(T)];  ///< byte k of every value
    [[nodiscard]] TANDEM_INLINE T operator[](unsigned code) const {
        std::array<std::uint8_t, sizeof(T)> bytes{};
        for (std::size_t k = 0; k < sizeof(T); ++k) bytes[k] = planes[k][code];
        return std::bit_cast<T>(bytes);
    }
};

using Bits = std::uint32_t __attribute__((vector_size(kLanes * sizeof(float)), may_alias));
using SignedBits = std::int32_t __attribute__((vector_size(kLanes * sizeof(float)), may_alias));

TANDEM_INLINE void fill_table(const Vector& values, float scale, BlockTable<float>& table) {
    const Bits bits = reinterpret_cast<Bits>(values * scale);
    for (unsigned k = 0; k < 4; ++k) table.planes[k] = __builtin_convertvector(bits >> (8U * k), Bytes);
}

TANDEM_INLINE void fill_table(const Vector& values, float scale, BlockTable<std::uint16_t>& table) {
    const Bits bits = reinterpret_cast<Bits>(values * scale);
    const Bits rounded = bits + 0x7fffU + ((bits >> 16U) & 1U);
    const Bits nan = reinterpret_cast<Bits>(reinterpret_cast<SignedBits>(bits & 0x7fffffffU) > 0x7f800000);  // all ones, or zero
    const Bits bf16 = (rounded & ~nan) | ((bits | 0x400000U) & nan);
    table.planes[0] = __builtin_convertvector(bf16 >> 16U, Bytes);
    table.planes[1] = __builtin_convertvector(bf16 >> 24U, Bytes);
}

TANDEM_INLINE void fill_table(const Vector& values, float scale, BlockTable<Float16>& table) {
    const Vector value = values * scale;
    Bits half;
    narrow_to_halves(value, half);
    table.planes[0] = __builtin_convertvector(half, Bytes);
    table.planes[1] = __builtin_convertvector(half >> 8U, Bytes);
}

/// y [16]: the values whose codes are given.
template <class T>
TANDEM_INLINE void look_up(const BlockTable<T>& table, const Bytes& codes, T* y) {
    auto* out = reinterpret_cast<UnalignedBytes*>(y);
    const Bytes byte0 = __builtin_shuffle(table.planes[0], codes);
    const Bytes byte1 = __builtin_shuffle(table.planes[1], codes);
    const Bytes low_first = __builtin_shuffle(byte0, byte1, kLowHalves);
    const Bytes low_last = __builtin_shuffle(byte0, byte1, kHighHalves);
    if constexpr (sizeof(T) == 2) {
        out[0] = low_first;
        out[1] = low_last;
    } else {
        const Bytes byte2 = __builtin_shuffle(table.planes[2], codes);
        const Bytes byte3 = __builtin_shuffle(table.planes[3], codes);
        const Bytes high_first = __builtin_shuffle(byte2, byte3, kLowHalves);
        const Bytes high_last = __builtin_shuffle(byte2, byte3, kHighHalves);
        out[0] = __builtin_shuffle(low_first, high_first, kLowPairs);
        out[1] = __builtin_shuffle(low_first, high_first, kHighPairs);
        out[2] = __builtin_shuffle(low_last, high_last, kLowPairs);
        out[3] = __builtin_shuffle(low_last, high_last, kHighPairs);
    }
}

template <class T>
TANDEM_INLINE void dequantize_block(const BlockTable<T>& table, const std::uint8_t* codes, std::int64_t nibble, std::int64_t n, T* y) {
    const auto single = [&](std::int64_t i) { y[i] = table[codes[(nibble + i) / 2] >> ((nibble + i) % 2 == 0 ? 4U : 0U) & 15U]; };
    std::int64_t i = 0;
    if (nibble % 2 == 1 && n > 0) single(i++);
    const std::uint8_t* pairs = codes + (nibble + i) / 2;
    for (; i + 32 <= n; i += 32, pairs += 16) {
        const Bytes both = *reinterpret_cast<const UnalignedBytes*>(pairs);
        const Bytes even = both >> 4U;
        const Bytes odd = both & 15U;
        look_up(table, __builtin_shuffle(even, odd, kLowHalves), y + i);
        look_up(table, __builtin_shuffle(even, odd, kHighHalves), y + i + 16);
    }
    for (; i < n; ++i) single(i);
}

template <class T>
TANDEM_INLINE void dequantize_run(const CodeRun& run, T* y) {
    BlockTable<T> table;
    Vector values;
    load_vector(run.values, values);
    std::int64_t phase = run.phase;
    const float* scale = run.scales;
    for (std::int64_t done = 0; done < run.count; phase = 0) {
        const std::int64_t n = std::min(run.count - done, run.block_size - phase);
        fill_table(values, *scale++, table);
        dequantize_block(table, run.codes, run.nibble + done, n, y + done);
        done += n;
    }
}

}  // namespace

TANDEM_CLONES void dequantize_fp32(const CodeRun& run, std::byte* y) { dequantize_run(run, reinterpret_cast<float*>(y)); }
TANDEM_CLONES void dequantize_bf16(const CodeRun& run, std::byte* y) { dequantize_run(run, reinterpret_cast<std::uint16_t*>(y)); }
TANDEM_CLONES void dequantize_fp16(const CodeRun& run, std::byte* y) { dequantize_run(run, reinterpret_cast<Float16*>(y)); }

namespace {

/// Elements of one call: the scales are written once, and read while they are in the first-level cache.
constexpr std::int64_t kRun = 8192;
constexpr std::int64_t kLeastBlock = 2;

/// fp32 scales of `count` blocks of a line from its block number `block` of the whole matrix on.
void block_scales(const FourBitMatrix& w, std::int64_t line, std::int64_t block, std::int64_t count, float* scales) {
    const std::int64_t at = line * w.absmax.extent(1) + block - w.grid.first_block(line);
    if (!w.double_quantized()) {
        std::copy_n(w.absmax.data<float>() + at, count, scales);
        return;
    }
    const auto& map = dynamic_map(Signedness::Signed);
    const auto* codes = w.absmax.data<std::uint8_t>() + at;
    const auto* nested = w.nested.data<float>();
    const float offset = *w.offset.data<float>();
    for (std::int64_t b = 0; b < count; ++b) scales[b] = map[codes[b]] * nested[(block + b) / BlockGrid::kNested] + offset;
}

/// Elements [column, column + count) of a row of y. `columns`: of y, whose rows may be joined into one.
void dequantize_piece(const FourBitMatrix& w, std::int64_t columns, const Piece& piece, const Tensor& y) {
    const BlockGrid& grid = w.grid;
    const std::int64_t element_index = grid.first + piece.row * grid.stride + piece.column;
    const std::int64_t block = element_index / grid.block_size;
    const std::int64_t blocks = (element_index + piece.count - 1) / grid.block_size - block + 1;
    std::array<float, kRun / kLeastBlock + 1> scales;  // NOLINT: written below
    block_scales(w, grid.lines() == 1 ? 0 : piece.row, block, blocks, scales.data());
    const CodeRun run{.values = four_bit_values(w.type).data(),
                      .codes = w.codes.data<std::uint8_t>(),
                      .nibble = piece.row * columns + piece.column,
                      .phase = element_index % grid.block_size,
                      .count = piece.count,
                      .block_size = grid.block_size,
                      .scales = scales.data()};
    by_type(y.dtype(), dequantize_fp32, dequantize_bf16, dequantize_fp16)(run, element(y, piece.row, piece.column));
}

}  // namespace

}  // namespace cpu

void CpuBackend::dequantize(Context&, const FourBitMatrix& w, const Tensor& y) {
    cpu::require_computable(y);
    const bool joined = w.grid.lines() == 1 && y.contiguous();
    const std::int64_t rows = joined ? 1 : w.grid.rows;
    const std::int64_t columns = joined ? w.grid.elements() : w.grid.columns;
    const std::int64_t per_row = (columns + cpu::kRun - 1) / cpu::kRun;
    const bool small = w.grid.elements() <= 4 * cpu::kRun;  // waking a team costs more
    cpu::parallel_for(small ? 1 : threads_, rows * per_row, [&](std::int64_t i) {
        const std::int64_t column = i % per_row * cpu::kRun;
        cpu::dequantize_piece(w, columns, {i / per_row, column, std::min(cpu::kRun, columns - column)}, y);
    });
}

}  // namespace tandem
