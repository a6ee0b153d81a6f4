#include "kernels/quant/block_scales.h"

#include <algorithm>
#include <array>
#include <bit>

#include "kernels/ops/four_bit_matrix.h"
#include "kernels/quant/dynamic_map.h"

namespace tandem {

namespace {

constexpr std::size_t kLanes = 8;   ///< floats of a vector
constexpr std::size_t kChains = 4;  ///< independent vectors of partial sums
constexpr std::size_t kLevels = 4;

template <std::size_t kColumns>
using Sums = std::array<float, kColumns>;

template <std::size_t kColumns>
void add(Sums<kColumns>& sums, const float* x) {
    for (std::size_t c = 0; c < kColumns; ++c) sums[c] += x[c];
}

/// Sums of the columns of x [rows, kColumns] in levels, each of which takes the sum of 2^power terms of the one below.
template <std::size_t kColumns>
Sums<kColumns> column_sums(const float* x, std::size_t rows) {
    const auto ceil_log2 = static_cast<std::size_t>(rows <= 2 ? 1 : std::bit_width(rows - 1));
    const std::size_t power = std::max<std::size_t>(4, ceil_log2 / kLevels);
    const std::size_t step = std::size_t{1} << power;
    std::array<Sums<kColumns>, kLevels> sums{};
    for (std::size_t done = 1; done <= rows; ++done, x += kColumns) {
        add(sums[0], x);
        if (done % step != 0) continue;
        for (std::size_t level = 1; level < kLevels; ++level) {
            add(sums[level], sums[level - 1].data());
            sums[level - 1].fill(0.0F);
            if ((done & ((step - 1) << (level * power))) != 0) break;
        }
    }
    for (std::size_t level = 1; level < kLevels; ++level) add(sums[0], sums[level].data());
    return sums[0];
}

/// Sum of x [count, kWidth] over its rows: four chains of rows, then the rows that are left, then the chains.
template <std::size_t kWidth>
Sums<kWidth> row_sum(const float* x, std::size_t count) {
    const std::size_t rows = count / kChains;
    const auto chains = column_sums<kWidth * kChains>(x, rows);
    Sums<kWidth> sum{};
    std::copy_n(chains.begin(), kWidth, sum.begin());
    for (std::size_t i = rows * kChains; i < count; ++i) add(sum, x + i * kWidth);
    for (std::size_t chain = 1; chain < kChains; ++chain) add(sum, chains.data() + chain * kWidth);
    return sum;
}

/// torch.sum of fp32 on one thread.
float sum(std::span<const float> x) {
    if (x.size() < kLanes) return row_sum<1>(x.data(), x.size())[0];
    const std::size_t vectors = x.size() / kLanes;
    const auto lanes = row_sum<kLanes>(x.data(), vectors);
    float total = 0.0F;
    for (std::size_t i = vectors * kLanes; i < x.size(); ++i) total += x[i];
    for (const float lane : lanes) total += lane;
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
