// Boxes of four-bit matrices: every element has the value that it has in the whole matrix, wherever the box begins and ends.
#include "kernels/ops/quantization.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/ops/optimizer.h"
#include "kernels/quant/block_scales.h"
#include "kernels/quant/four_bit.h"
#include "tests/kernels/candidates.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

enum class Scales { Single, Double };

/// A matrix of normal numbers, quantised on the host as a whole; its boxes on a device.
class Whole {
public:
    Whole(FourBit type, std::int64_t block_size, std::int64_t rows, std::int64_t columns, Scales scales)
        : type_(type), grid_{block_size, rows, columns, 0, columns, rows} {
        std::vector<float> x(static_cast<std::size_t>(grid_.elements()));
        for (std::size_t i = 0; i < x.size(); ++i) {
            const auto words = philox(7, 0, i);
            x[i] = static_cast<float>(standard_normal(words[0], words[1]));
        }
        codes_.resize(x.size());
        std::vector<float> absmax(static_cast<std::size_t>(grid_.whole_blocks()));
        quantize_blocks(type, block_size, x, codes_, absmax);
        if (scales == Scales::Double) scales_ = quantize_scales(absmax);
        else scales_.absmax = absmax;
    }

    [[nodiscard]] FourBitMatrix box(Device& device, std::int64_t first_row, std::int64_t end_row, std::int64_t first_column,
                                    std::int64_t end_column) const {
        BlockGrid grid = grid_;
        grid.rows = end_row - first_row;
        grid.columns = end_column - first_column;
        grid.first = first_row * grid.stride + first_column;
        std::vector<double> packed(static_cast<std::size_t>(grid.code_bytes()));
        for (std::int64_t i = 0; i < grid.elements(); ++i) {
            const auto code = codes_[static_cast<std::size_t>(grid.first + i / grid.columns * grid.stride + i % grid.columns)];
            packed[static_cast<std::size_t>(i / 2)] += i % 2 == 0 ? 16 * code : code;
        }
        FourBitMatrix w{.type = type_, .grid = grid, .codes = {}, .absmax = {}, .nested = {}, .offset = {}};
        w.codes = device.tensor({grid.code_bytes()}, DType::U8, packed);
        const bool nested = scales_.double_quantized();
        std::vector<double> absmax;
        for (std::int64_t line = 0; line < grid.lines(); ++line) {
            for (std::int64_t b = 0; b < grid.line_blocks(); ++b) {
                // A line that touches fewer blocks than others has scales that nobody reads.
                const auto block = static_cast<std::size_t>(std::min(grid.first_block(line) + b, grid.whole_blocks() - 1));
                absmax.push_back(nested ? scales_.codes[block] : static_cast<double>(scales_.absmax[block]));
            }
        }
        w.absmax = device.tensor({grid.lines(), grid.line_blocks()}, nested ? DType::U8 : DType::F32, absmax);
        if (nested) {
            w.nested = device.tensor({grid.whole_groups()}, DType::F32, {scales_.nested.begin(), scales_.nested.end()});
            w.offset = device.filled({1}, DType::F32, static_cast<double>(scales_.offset));
        }
        return w;
    }

    /// All values, by the definition.
    [[nodiscard]] std::vector<double> values() const {
        const auto absmax = dequantize_scales(scales_);
        std::vector<double> y(codes_.size());
        for (std::size_t i = 0; i < y.size(); ++i) {
            const float value = four_bit_values(type_)[codes_[i]] * absmax[i / static_cast<std::size_t>(grid_.block_size)];
            y[i] = static_cast<double>(value);
        }
        return y;
    }

private:
    FourBit type_;
    BlockGrid grid_;
    std::vector<std::uint8_t> codes_;
    BlockScales scales_;
};

struct Row {
    FourBit type;
    std::int64_t block_size, rows, columns;
    Scales scales;
};

std::vector<Row> rows() {
    std::vector<Row> all;
    for (const auto scales : {Scales::Single, Scales::Double})
        for (const auto& [block, m, n] :
             {std::array<std::int64_t, 3>{64, 12, 256}, {64, 12, 96}, {32, 15, 75}, {32, 11, 900}, {128, 7, 1000}, {4096, 8, 900}})
            for (const auto type : {FourBit::NF4, FourBit::FP4}) all.push_back({type, block, m, n, scales});
    return all;
}

class Boxes : public testing::TestWithParam<Row> {};

/// y of a box, in a buffer with gaps between its rows, equals the box of `whole` rounded to its type.
void expect_box(Device& device, const Whole& matrix, const std::vector<double>& whole, std::int64_t stride, DType type,
                const std::array<std::int64_t, 4>& box) {
    const auto& [first_row, end_row, first_column, end_column] = box;
    const std::int64_t m = end_row - first_row, n = end_column - first_column;
    std::vector<double> expected;
    for (std::int64_t i = first_row; i < end_row; ++i)
        expected.insert(expected.end(), whole.begin() + i * stride + first_column, whole.begin() + i * stride + end_column);
    const auto bytes = encode(expected, type);
    for (const std::int64_t gap : {0, 3}) {
        const Tensor y = device.filled({m, n + gap}, type, 5.0).columns(0, n);
        ops::dequantize(device.context(), matrix.box(device, first_row, end_row, first_column, end_column), y);
        ASSERT_EQ(encode(device.numbers(y), type), bytes) << name(type) << " rows " << first_row << " to " << end_row << ", columns "
                                                          << first_column << " to " << end_column << ", gap " << gap;
    }
}

}  // namespace

TEST_P(Boxes, HaveTheValuesOfTheWholeMatrix) {
    const auto& [type, block_size, m, n, scales] = GetParam();
    const Whole matrix(type, block_size, m, n, scales);
    const auto whole = matrix.values();
    for (const Candidate& candidate : reference_and_candidates()) {
        SCOPED_TRACE(candidate.name);
        for (const auto dtype : {DType::F64, DType::F32, DType::BF16, DType::F16}) {
            if (candidate.name != "ref" && dtype == DType::F64) continue;
            for (const std::int64_t parts : {1, 2, 3, 5}) {
                Device device(candidate.make());
                for (std::int64_t part = 0; part < parts; ++part) {
                    const auto cut = [&](std::int64_t extent, std::int64_t i) { return extent * i / parts; };
                    expect_box(device, matrix, whole, n, dtype, {cut(m, part), cut(m, part + 1), 0, n});
                    expect_box(device, matrix, whole, n, dtype, {0, m, cut(n, part), cut(n, part + 1)});
                    expect_box(device, matrix, whole, n, dtype, {cut(m, part), cut(m, part + 1), cut(n, part), cut(n, part + 1)});
                    if (HasFatalFailure()) return;
                }
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(, Boxes, testing::ValuesIn(rows()), [](const auto& row) {
    const Row& r = row.param;
    return fmt::format("{}_{}_{}x{}_{}", name(r.type), r.block_size, r.rows, r.columns, r.scales == Scales::Double ? "double" : "single");
});

TEST(BlockGrids, LineBlocksIsTheMostThatALineTouches) {
    for (const std::int64_t block : {32, 64, 4096}) {
        for (const std::int64_t stride : {1, 33, 64, 100, 4097}) {
            for (const std::int64_t columns : {std::int64_t{1}, (stride + 1) / 2, stride}) {
                const BlockGrid grid{block, 70, columns, 2 * stride + stride - columns, stride, 72};
                std::int64_t most = 0;
                for (std::int64_t line = 0; line < grid.lines(); ++line)
                    most = std::max(most, (grid.line_first(line) + grid.line_elements() - 1) / block - grid.line_first(line) / block + 1);
                EXPECT_EQ(grid.line_blocks(), most) << block << " " << stride << " " << columns;
            }
        }
    }
}

TEST(FourBitBlocks, HalfwayNumbersGoDown) {
    for (const auto type : {FourBit::NF4, FourBit::FP4}) {
        auto values = four_bit_values(type);
        std::sort(values.begin(), values.end());
        std::vector<float> x(32, 1.0F);
        for (std::size_t i = 0; i < 15; ++i) x[i] = (values[i] + values[i + 1]) / 2;
        std::vector<std::uint8_t> codes(x.size());
        std::vector<float> absmax(1);
        quantize_blocks(type, 32, x, codes, absmax);
        for (std::size_t i = 0; i < 15; ++i) EXPECT_EQ(four_bit_values(type)[codes[i]], values[i]) << name(type) << " " << i;
    }
}

TEST(FourBitBlocks, ScalesThatAreNotNumbersShow) {
    for (const Candidate& candidate : reference_and_candidates()) {
        SCOPED_TRACE(candidate.name);
        Device device(candidate.make());
        std::vector<double> all(32);
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<double>(i * 0x11 % 256);
        FourBitMatrix w{.type = FourBit::NF4, .grid = {64, 1, 64, 0, 64, 1}, .codes = {}, .absmax = {}, .nested = {}, .offset = {}};
        w.codes = device.tensor({32}, DType::U8, all);
        for (const std::uint32_t bits : {0x7fffffffU, 0xffffffffU, 0x7fc00000U}) {
            w.absmax = device.copy<std::uint32_t>({1, 1}, DType::F32, {bits});
            for (const auto type : {DType::F32, DType::BF16, DType::F16}) {
                const Tensor y = device.filled({1, 64}, type, 0.0);
                ops::dequantize(device.context(), w, y);
                for (const double number : device.numbers(y)) EXPECT_TRUE(std::isnan(number)) << name(type) << " " << bits;
            }
        }
    }
}

namespace {

void expect_contains(const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
}

}  // namespace

// One at a time, on a matrix that is accepted.
TEST(QuantizationChecks, RefuseWhatDoesNotFit) {
    Device device;
    Context& ctx = device.context();
    const Whole matrix(FourBit::NF4, 64, 4, 96, Scales::Double);
    const FourBitMatrix good = matrix.box(device, 1, 4, 32, 80);
    const auto y = [&](const Shape& shape, DType type = DType::F32) { return device.filled(shape, type, 0); };
    const auto message = [&](const auto& change, const Tensor& out) -> std::string {
        FourBitMatrix w = good;
        change(w);
        try {
            ops::dequantize(ctx, w, out);
        } catch (const Error& e) {
            return e.what();
        }
        return "accepted";
    };
    const auto nothing = [](FourBitMatrix&) {};
    EXPECT_EQ(message(nothing, y({3, 48})), "accepted");
    expect_contains(message(nothing, y({3, 49})), "dequantize: y is fp32 [3, 49], but [3, 48] is needed");
    expect_contains(message(nothing, y({3, 48}, DType::I32)), "y is int32 [3, 48], but a floating-point type");
    expect_contains(message([&](auto& w) { w.codes = y({71}, DType::U8); }, y({3, 48})), "codes is uint8 [71], but [72] is needed");
    expect_contains(message([&](auto& w) { w.absmax = y({3, 1}, DType::U8); }, y({3, 48})), "absmax is uint8 [3, 1], but [3, 2]");
    expect_contains(message([&](auto& w) { w.absmax = y({3, 2}, DType::BF16); }, y({3, 48})), "absmax is bf16 [3, 2], but fp32");
    expect_contains(message([&](auto& w) { w.nested = {}; }, y({3, 48})), "nested is absent");
    expect_contains(message([&](auto& w) { w.nested = y({2}); }, y({3, 48})), "nested is fp32 [2], but [1] is needed");
    expect_contains(message([&](auto& w) { w.offset = y({1}, DType::F64); }, y({3, 48})), "offset is fp64 [1], but fp32");
    expect_contains(message([&](auto& w) { w.grid.block_size = 48; }, y({3, 48})), "48 elements, but a power of two");
    expect_contains(message([&](auto& w) { w.grid.first += 96; }, y({3, 48})), "leaves the matrix of 4 x 96");
    expect_contains(message([&](auto& w) { w.grid.first += 32; }, y({3, 48})), "leaves the matrix of 4 x 96");
}

TEST(QuantizationChecks, AdamW8bit) {
    Device device;
    const auto f32 = [&](std::int64_t n) { return device.filled({n}, DType::F32, 0.5); };
    const auto u8 = [&](std::int64_t n) { return device.filled({n}, DType::U8, 0); };
    const Tensor scale = device.filled({1}, DType::F64, 1.0), p = f32(300);
    const auto message = [&](std::int64_t step, const Tensor& grad, const EightBitMoments& moments) -> std::string {
        try {
            ops::adamw_8bit(device.context(), {1e-3, 0.9, 0.999, 1e-8, 0.0, step}, scale, grad, moments, p);
        } catch (const Error& e) {
            return e.what();
        }
        return "accepted";
    };
    const EightBitMoments good{u8(300), u8(300), f32(2), f32(2)};
    EXPECT_EQ(message(1, f32(300), good), "accepted");
    expect_contains(message(0, f32(300), good), "adamw_8bit: step 0 is not counted from 1");
    expect_contains(message(1, f32(299), good), "grad is fp32 [299], but [300]");
    expect_contains(message(1, f32(300), {u8(300), u8(299), f32(2), f32(2)}), "v is uint8 [299], but [300]");
    expect_contains(message(1, f32(300), {u8(300), f32(300), f32(2), f32(2)}), "v is fp32 [300], but uint8");
    expect_contains(message(1, f32(300), {u8(300), u8(300), f32(1), f32(2)}), "m_absmax is fp32 [1], but [2]");
    expect_contains(message(1, f32(300), {good.m, good.m, f32(2), f32(2)}), "m uint8 [300] and v uint8 [300] share memory");
    expect_contains(message(1, p, good), "grad fp32 [300] and master fp32 [300] share memory");
}

}  // namespace tandem::test
