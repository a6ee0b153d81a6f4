#include "src/model/block_quantization.h"

#include <algorithm>
#include <cmath>

#include "kernels/quant/four_bit.h"
#include "src/io/convert.h"

namespace tandem {
namespace {

constexpr std::int64_t kChunk = std::int64_t{4} << 20;  ///< elements at a time

std::size_t blocks_of(const FourBitLayout& layout, std::size_t elements) {
    const auto size = static_cast<std::size_t>(layout.block_size);
    return (elements + size - 1) / size;
}

void pack(std::span<const std::uint8_t> codes, std::vector<std::uint8_t>& packed) {
    packed.resize((codes.size() + 1) / 2);
    for (std::size_t i = 0; i < packed.size(); ++i) {
        const unsigned low = 2 * i + 1 < codes.size() ? codes[2 * i + 1] : 0U;
        packed[i] = static_cast<std::uint8_t>(static_cast<unsigned>(codes[2 * i]) << 4U | low);
    }
}

}  // namespace

BlockScales quantize_matrix(const FourBitLayout& layout, const std::string& where, const ReadElements& read, const WriteCodes& write) {
    static_assert(kChunk % kLargestBlock == 0);
    std::vector<float> absmax(static_cast<std::size_t>(layout.blocks())), values;
    std::vector<std::uint8_t> codes, packed;
    for (std::int64_t first = 0; first < layout.elements(); first += kChunk) {
        const auto n = static_cast<std::size_t>(std::min(kChunk, layout.elements() - first));
        values.resize(n);
        codes.resize(n);
        read(first, values);
        const auto bad = std::ranges::find_if_not(values, [](float x) { return std::isfinite(x); });
        if (bad != values.end()) fail(Failure::Input, "{} has a non-finite element at index {}", where, first + (bad - values.begin()));
        const auto block = static_cast<std::size_t>(first / layout.block_size);
        quantize_blocks(layout.type, layout.block_size, values, codes, std::span(absmax).subspan(block, blocks_of(layout, n)));
        pack(codes, packed);
        write(first / 2, packed);
    }
    if (layout.double_quant) return quantize_scales(absmax);
    return {.absmax = std::move(absmax), .codes = {}, .nested = {}, .offset = 0};
}

struct QuantizingSource::Matrix {
    std::string name;
    FourBitLayout layout;
    std::vector<std::uint8_t> codes;
    BlockScales scales;
    std::vector<float> absmax;  ///< of every block
};

QuantizingSource::QuantizingSource(const WeightSource& source, QuantizationSpec spec) : source_(source), spec_(std::move(spec)) {}
QuantizingSource::~QuantizingSource() = default;

bool QuantizingSource::has_blocks(const Parameter& p) const { return p.quantized.has_value(); }

std::shared_ptr<const QuantizingSource::Matrix> QuantizingSource::quantized(const Parameter& p) const {
    const std::lock_guard lock(mutex_);
    if (matrix_ && matrix_->name == p.name) return matrix_;
    matrix_.reset();
    auto made = std::make_shared<Matrix>();
    made->name = p.name;
    made->layout = {.type = spec_.type, .block_size = spec_.block_size, .double_quant = spec_.double_quant, .shape = p.global};
    made->codes.resize(static_cast<std::size_t>(made->layout.code_bytes()));
    const std::int64_t columns = p.global[1];
    std::vector<float> rows;  // whole ones: what a source is asked for
    const ReadElements read = [&](std::int64_t first, std::span<float> values) {
        const std::int64_t top = first / columns, bottom = (first + static_cast<std::int64_t>(values.size()) - 1) / columns + 1;
        rows.resize(static_cast<std::size_t>((bottom - top) * columns));
        source_.read(p, {{top, 0}, {bottom - top, columns}}, DType::F32, reinterpret_cast<std::byte*>(rows.data()));
        std::copy_n(rows.begin() + (first - top * columns), values.size(), values.begin());
    };
    const WriteCodes write = [&](std::int64_t first, std::span<const std::uint8_t> packed) {
        std::ranges::copy(packed, made->codes.begin() + first);
    };
    made->scales = quantize_matrix(made->layout, fmt::format("tensor '{}'", p.name), read, write);
    made->absmax = made->scales.double_quantized() ? dequantize_scales(made->scales) : made->scales.absmax;
    matrix_ = made;
    return made;
}

void QuantizingSource::read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const {
    if (!has_blocks(p)) return source_.read(p, box, dtype, out);
    const auto matrix = quantized(p);
    std::vector<float> row(static_cast<std::size_t>(box.shape[1]));
    for (std::int64_t i = 0; i < box.shape[0]; ++i, out += row.size() * size_of(dtype)) {
        const std::int64_t first = (box.offset[0] + i) * p.global[1] + box.offset[1];
        dequantize_elements(matrix->layout, matrix->absmax, matrix->codes.data(), 0, first, row);
        convert_elements(DType::F32, row.data(), dtype, out, row.size());
    }
}

void QuantizingSource::read_codes(const Parameter& p, std::int64_t first, std::span<std::uint8_t> out) const {
    if (!has_blocks(p)) return WeightSource::read_codes(p, first, out);
    std::copy_n(quantized(p)->codes.begin() + first, out.size(), out.begin());
}

BlockScales QuantizingSource::read_scales(const Parameter& p) const {
    if (!has_blocks(p)) return WeightSource::read_scales(p);
    return quantized(p)->scales;
}

}  // namespace tandem
