#include "src/model/quantized_weight.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/backend.h"
#include "kernels/ops/quantization.h"
#include "kernels/quant/four_bit.h"
#include "parallel/whereabouts.h"
#include "src/io/convert.h"

namespace tandem {
namespace {

constexpr std::int64_t kStagingElements = std::int64_t{2} << 20;  ///< fp32: 8 MiB

/// Takes the codes of a box's elements one after another and puts them on the device, two a byte.
class CodeWriter {
public:
    CodeWriter(Context& ctx, const Tensor& codes) : ctx_(ctx), codes_(codes) {}
    void push(std::span<const std::uint8_t> codes) {
        for (const std::uint8_t code : codes) {
            if (high_) packed_.push_back(static_cast<std::uint8_t>(code << 4U));
            else packed_.back() = static_cast<std::uint8_t>(packed_.back() | code);
            high_ = !high_;
        }
        if (high_ && static_cast<std::int64_t>(packed_.size()) >= kStagingElements) flush();
    }
    void flush() {
        const auto count = static_cast<std::int64_t>(packed_.size());
        if (count > 0) {
            ctx_.backend.copy_from_host(ctx_.stream, packed_.data(), codes_.rows(written_, written_ + count));
            ctx_.stream.synchronize();
        }
        mark_progress();
        written_ += count;
        packed_.clear();
    }
    [[nodiscard]] std::int64_t written() const { return written_; }

private:
    Context& ctx_;
    Tensor codes_;
    std::vector<std::uint8_t> packed_;
    std::int64_t written_ = 0;
    bool high_ = true;
};

/// Quantises stretches of the whole matrix's elements that begin and end with blocks (the last one may be short).
class BlockQuantizer {
public:
    BlockQuantizer(const FourBitMatrix& matrix, std::vector<float>& absmax) : type_(matrix.type), grid_(matrix.grid), absmax_(absmax) {}

    /// Codes of x, whose first element has the number `first`.
    std::span<const std::uint8_t> run(std::int64_t first, std::span<const float> x) {
        codes_.resize(x.size());
        const auto size = static_cast<std::size_t>(grid_.block_size), block = static_cast<std::size_t>(first) / size;
        quantize_blocks(type_, grid_.block_size, x, codes_, std::span(absmax_).subspan(block, (x.size() + size - 1) / size));
        return codes_;
    }

private:
    FourBit type_;
    BlockGrid grid_;
    std::vector<float>& absmax_;
    std::vector<std::uint8_t> codes_;
};

/// The part of [first, first + codes.size()) of the whole matrix's elements that is in the box, in order.
void push_box_part(const BlockGrid& grid, std::int64_t first, std::span<const std::uint8_t> codes, CodeWriter& writer) {
    const std::int64_t last = first + static_cast<std::int64_t>(codes.size());
    std::int64_t line = grid.columns == grid.stride ? 0 : std::max<std::int64_t>(0, (first - grid.first) / grid.stride);
    for (; line < grid.lines() && grid.line_first(line) < last; ++line) {
        const std::int64_t from = std::max(first, grid.line_first(line)), to = std::min(last, grid.line_first(line) + grid.line_elements());
        if (from < to) writer.push(codes.subspan(static_cast<std::size_t>(from - first), static_cast<std::size_t>(to - from)));
    }
}

/// Whether each of the box's rows is a row of whole blocks: then nothing beside the box has to be read.
bool rows_of_blocks(const BlockGrid& g) {
    return g.columns < g.stride && g.stride % g.block_size == 0 && g.columns % g.block_size == 0 && g.first % g.block_size == 0;
}

void quantize_rows_of_blocks(const Parameter& p, const WeightSource& source, BlockQuantizer& quantizer, CodeWriter& writer) {
    const BlockGrid& g = p.quantized->grid;
    const std::int64_t step = std::max<std::int64_t>(1, kStagingElements / g.columns);
    std::vector<float> values;
    for (std::int64_t row = 0; row < g.rows; row += step) {
        const std::int64_t rows = std::min(step, g.rows - row);
        values.resize(static_cast<std::size_t>(rows * g.columns));
        source.read(p, {{p.box.offset[0] + row, p.box.offset[1]}, {rows, g.columns}}, DType::F32,
                    reinterpret_cast<std::byte*>(values.data()));
        for (std::int64_t i = 0; i < rows; ++i) {
            const auto of_row = std::span(values).subspan(static_cast<std::size_t>(i * g.columns), static_cast<std::size_t>(g.columns));
            writer.push(quantizer.run(g.line_first(row + i), of_row));
        }
    }
}

/// Every element from the first block that the box touches to the last one.
void quantize_stretch(const Parameter& p, const WeightSource& source, BlockQuantizer& quantizer, CodeWriter& writer) {
    const BlockGrid& g = p.quantized->grid;
    const std::int64_t end = g.line_first(g.lines() - 1) + g.line_elements();
    const std::int64_t first = g.first / g.block_size * g.block_size;
    const std::int64_t last = std::min((end + g.block_size - 1) / g.block_size * g.block_size, g.whole_elements());
    const std::int64_t step = std::max<std::int64_t>(1, kStagingElements / g.stride);
    std::vector<float> values;  // those before `done` are quantised
    std::int64_t done = first;
    for (std::int64_t row = first / g.stride; row * g.stride < last; row += step) {
        const std::int64_t rows = std::min(step, g.whole_rows - row), from = row * g.stride;
        const std::size_t kept = values.size();
        values.resize(kept + static_cast<std::size_t>(rows * g.stride));
        source.read(p, {{row, 0}, {rows, g.stride}}, DType::F32, reinterpret_cast<std::byte*>(values.data() + kept));
        if (from < done) values.erase(values.begin(), values.begin() + (done - from));  // before the first block
        const std::int64_t have = std::min(done + static_cast<std::int64_t>(values.size()), last);
        const std::int64_t until = have == last ? last : have / g.block_size * g.block_size;
        push_box_part(g, done, quantizer.run(done, std::span(values).first(static_cast<std::size_t>(until - done))), writer);
        values.erase(values.begin(), values.begin() + (until - done));
        done = until;
    }
}

/// Quantises this rank's part; the scales of the whole matrix.
BlockScales quantize_values(const TensorGroup& group, const Parameter& p, const WeightSource& source, CodeWriter& writer) {
    const FourBitMatrix& m = *p.quantized;
    std::vector<float> absmax(static_cast<std::size_t>(m.grid.whole_blocks()), 0.0F);
    BlockQuantizer quantizer(m, absmax);
    if (rows_of_blocks(m.grid)) quantize_rows_of_blocks(p, source, quantizer, writer);
    else quantize_stretch(p, source, quantizer, writer);
    if (!m.double_quantized()) return {.absmax = std::move(absmax), .codes = {}, .nested = {}, .offset = 0};
    if (group.split()) {
        // A block that several ranks touch has one scale on all of them, and 0 where it was not read.
        std::vector<double> all(absmax.begin(), absmax.end());
        group.max(all);
        std::ranges::transform(all, absmax.begin(), [](double x) { return static_cast<float>(x); });
    }
    return quantize_scales(absmax);
}

/// Codes as the files have them.
BlockScales copy_blocks(const Parameter& p, const WeightSource& source, CodeWriter& writer) {
    const BlockGrid& g = p.quantized->grid;
    std::vector<std::uint8_t> packed, codes;
    for (std::int64_t line = 0; line < g.lines(); ++line) {
        const std::int64_t end = g.line_first(line) + g.line_elements();
        for (std::int64_t first = g.line_first(line), last = first; first < end; first = last) {
            last = std::min(end, first + kStagingElements);
            packed.resize(static_cast<std::size_t>((last + 1) / 2 - first / 2));
            source.read_codes(p, first / 2, packed);
            codes.clear();
            for (std::int64_t e = first; e < last; ++e) {
                const std::uint8_t byte = packed[static_cast<std::size_t>(e / 2 - first / 2)];
                codes.push_back(e % 2 == 0 ? static_cast<std::uint8_t>(byte >> 4U) : static_cast<std::uint8_t>(byte & 15U));
            }
            writer.push(codes);
        }
    }
    return source.read_scales(p);
}

/// The scales of the blocks that each line of the box touches.
template <class T>
std::vector<T> scales_of_lines(const BlockGrid& grid, const std::vector<T>& whole) {
    std::vector<T> own;
    for (std::int64_t line = 0; line < grid.lines(); ++line) {
        for (std::int64_t i = 0; i < grid.line_blocks(); ++i) {
            const std::int64_t block = std::min(grid.first_block(line) + i, grid.whole_blocks() - 1);
            own.push_back(whole[static_cast<std::size_t>(block)]);
        }
    }
    return own;
}

void put(Context& ctx, const void* host, std::size_t bytes, const Tensor& target) {
    require(bytes == target.bytes(), "{} bytes for {}", bytes, target.str());
    ctx.backend.copy_from_host(ctx.stream, host, target);
    ctx.stream.synchronize();
}

void put_scales(Context& ctx, const FourBitMatrix& m, const BlockScales& scales) {
    if (!m.double_quantized()) {
        const std::vector<float> own = scales_of_lines(m.grid, scales.absmax);
        return put(ctx, own.data(), own.size() * sizeof(float), m.absmax);
    }
    const std::vector<std::uint8_t> own = scales_of_lines(m.grid, scales.codes);
    put(ctx, own.data(), own.size(), m.absmax);
    put(ctx, scales.nested.data(), scales.nested.size() * sizeof(float), m.nested);
    put(ctx, &scales.offset, sizeof(float), m.offset);
}

/// A block's largest element is its scale, and what is dequantised into fp16 must be finite there.
void require_range(const Parameter& p, const BlockScales& scales, DType compute) {
    if (compute != DType::F16) return;
    const std::vector<float> absmax = scales.double_quantized() ? dequantize_scales(scales) : scales.absmax;
    const auto bad = std::ranges::find_if(absmax, [](float x) { return !std::isfinite(static_cast<float>(Float16(x))); });
    if (bad == absmax.end()) return;
    const std::int64_t first = (bad - absmax.begin()) * p.quantized->grid.block_size;
    does_not_hold(fmt::format("tensor '{}', the scale of a block", p.name), first, static_cast<double>(*bad), compute, kTypeOption);
}

}  // namespace

void allocate_blocks(DeviceMemory& memory, const QuantizationSpec& spec, Parameter& p) {
    FourBitMatrix& m = *p.quantized;
    Arena& scales = memory[MemoryKind::Quantization];
    m.codes = memory[MemoryKind::Weights].allocate(p.name, DType::U8, {m.grid.code_bytes()});
    m.absmax = scales.allocate(p.name + " absmax", spec.double_quant ? DType::U8 : DType::F32, {m.grid.lines(), m.grid.line_blocks()});
    if (!spec.double_quant) return;
    m.nested = scales.allocate(p.name + " nested absmax", DType::F32, {m.grid.whole_groups()});
    m.offset = scales.allocate(p.name + " offset", DType::F32, {1});
}

void fill_blocks(Context& ctx, const TensorGroup& group, const Parameter& p, const WeightSource& source, DType compute) {
    const FourBitMatrix& m = *p.quantized;
    CodeWriter writer(ctx, m.codes);
    const BlockScales scales = source.has_blocks(p) ? copy_blocks(p, source, writer) : quantize_values(group, p, source, writer);
    writer.flush();
    require(writer.written() == m.grid.code_bytes(), "parameter {}: {} bytes of codes for {}", p.name, writer.written(), m.codes.str());
    require(scales.double_quantized() == m.double_quantized(), "parameter {}: scales of another kind", p.name);
    require_range(p, scales, compute);
    put_scales(ctx, m, scales);
}

Tensor dense(Context& ctx, const Parameter& p, DType dtype) {
    if (!p.quantized) return p.weight;
    const Tensor matrix = ctx.workspace.allocate("dequantised weight", dtype, p.box.shape);
    ops::dequantize(ctx, *p.quantized, matrix);
    return matrix;
}

}  // namespace tandem
