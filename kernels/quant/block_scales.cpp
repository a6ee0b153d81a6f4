#include "kernels/quant/block_scales.h"

#include <algorithm>
#include <bit>

#include "kernels/ops/four_bit_matrix.h"
#include "kernels/quant/dynamic_map.h"

namespace tandem {

namespace {

constexpr std::size_t kLanes = 8;   ///< floats of a vector
constexpr std::size_t kChains = 4;  ///< independent vectors of partial sums
constexpr std::size_t kRow = kLanes * kChains;
constexpr std::size_t kLevels = 4;

/// Sums of the columns of x [rows, 32], pairwise in `kLevels` levels: a level takes the sum of 2^power terms of the one below.
std::array<float, kRow> column_sums(const float* x, std::size_t rows) {
    const auto ceil_log2 = static_cast<std::size_t>(rows <= 2 ? 1 : std::bit_width(rows - 1));
    const std::size_t power = std::max<std::size_t>(4, ceil_log2 / kLevels);
    const std::size_t step = std::size_t{1} << power;
    std::array<std::array<float, kRow>, kLevels> sums{};
    const auto move_up = [&](std::size_t level) {
        for (std::size_t c = 0; c < kRow; ++c) sums[level][c] += sums[level - 1][c];
        sums[level - 1].fill(0.0F);
    };
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t c = 0; c < kRow; ++c) sums[0][c] += x[i * kRow + c];
        const std::size_t done = i + 1;
        if (done % step != 0) continue;
        for (std::size_t level = 1; level < kLevels; ++level) {
            move_up(level);
            if ((done & ((step - 1) << (level * power))) != 0) break;
        }
    }
    for (std::size_t level = 1; level < kLevels; ++level)
        for (std::size_t c = 0; c < kRow; ++c) sums[0][c] += sums[level][c];
    return sums[0];
}

/// torch.sum of fp32 on one thread: vectors of eight in four chains, then the vectors that are left, then the numbers.
float sum(std::span<const float> x) {
    const std::size_t vectors = x.size() / kLanes;
    const std::size_t rows = vectors / kChains;
    std::array<float, kRow> partial = column_sums(x.data(), rows);
    for (std::size_t v = rows * kChains; v < vectors; ++v)
        for (std::size_t l = 0; l < kLanes; ++l) partial[l] += x[v * kLanes + l];
    for (std::size_t chain = 1; chain < kChains; ++chain)
        for (std::size_t l = 0; l < kLanes; ++l) partial[l] += partial[chain * kLanes + l];
    float total = 0.0F;
    for (std::size_t i = vectors * kLanes; i < x.size(); ++i) total += x[i];
    for (std::size_t l = 0; l < kLanes; ++l) total += partial[l];
    return total;
}

std::size_t groups(std::size_t blocks) { return (blocks + BlockGrid::kNested - 1) / BlockGrid::kNested; }

}  // namespace

BlockScales quantize_scales(std::span<const float> absmax) {
    BlockScales scales;
    if (absmax.empty()) return scales;
    scales.offset = sum(absmax) / static_cast<float>(absmax.size());
    std::vector<float> rest(absmax.begin(), absmax.end());
    for (float& x : rest) x -= scales.offset;
    scales.codes.resize(absmax.size());
    scales.nested.resize(groups(absmax.size()));
    quantize_dynamic(Signedness::Signed, BlockGrid::kNested, rest, scales.codes, scales.nested);
    return scales;
}

std::vector<float> dequantize_scales(const BlockScales& scales) {
    if (!scales.double_quantized()) return scales.absmax;
    std::vector<float> absmax(scales.codes.size());
    dequantize_dynamic(Signedness::Signed, BlockGrid::kNested, scales.codes, scales.nested, absmax);
    for (float& x : absmax) x += scales.offset;
    return absmax;
}

}  // namespace tandem
