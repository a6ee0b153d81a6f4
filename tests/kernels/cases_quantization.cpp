#include <fmt/format.h>

#include "kernels/ops/optimizer.h"
#include "kernels/ops/quantization.h"
#include "tests/kernels/op_case.h"

namespace tandem::test {

namespace {

OperandSpec codes(std::string name, const Shape& shape) { return {std::move(name), shape, Kind::UInt8, below(256)}; }
OperandSpec fp32(std::string name, const Shape& shape, Fill fill) { return {std::move(name), shape, Kind::Float32, std::move(fill)}; }

/// A box of a matrix, with single and with double quantisation.
void add_dequantize(std::vector<OpCase>& cases, const std::string& name, FourBit type, const BlockGrid& grid, std::int64_t padding = 0) {
    const Shape scales{grid.lines(), grid.line_blocks()};
    const OperandSpec y = output("y", {grid.rows, grid.columns}, padding);
    cases.push_back({"quantization",
                     "dequantize_" + name,
                     {codes("codes", {grid.code_bytes()}), fp32("absmax", scales, uniform(0.001, 0.1)), y},
                     [=](Context& ctx, const Operands& o) {
                         ops::dequantize(ctx, {type, grid, o.at("codes"), o.at("absmax"), {}, {}}, o.at("y"));
                     }});
    cases.push_back({"quantization",
                     "dequantize_double_" + name,
                     {codes("codes", {grid.code_bytes()}), codes("absmax", scales),
                      fp32("nested", {grid.whole_groups()}, uniform(0.001, 0.1)), fp32("offset", {1}, constant(0.05)), y},
                     [=](Context& ctx, const Operands& o) {
                         ops::dequantize(ctx, {type, grid, o.at("codes"), o.at("absmax"), o.at("nested"), o.at("offset")}, o.at("y"));
                     }});
}

void add_adamw(std::vector<OpCase>& cases, std::int64_t n) {
    const std::int64_t blocks = (n + EightBitMoments::kBlock - 1) / EightBitMoments::kBlock;
    cases.push_back(
        {"quantization",
         fmt::format("adamw_8bit_{}", n),
         {fp32("grad", {n}, normal(0.1)),
          codes("m", {n}),
          codes("v", {n}),
          fp32("m_absmax", {blocks}, uniform(0.0, 0.1)),
          fp32("v_absmax", {blocks}, uniform(0.0, 0.01)),
          fp32("master", {n}, normal()),
          {"scale", {1}, Kind::Float64, constant(0.25)}},
         [](Context& ctx, const Operands& o) {
             const EightBitMoments moments{o.at("m"), o.at("v"), o.at("m_absmax"), o.at("v_absmax")};
             for (std::int64_t step = 1; step <= 3; ++step)
                 ops::adamw_8bit(ctx, {1e-2, 0.9, 0.999, 1e-8, 0.1, step}, o.at("scale"), o.at("grad"), moments, o.at("master"));
         }});
}

}  // namespace

std::vector<OpCase> quantization_cases() {
    std::vector<OpCase> cases;
    const auto box = [](std::int64_t block, std::int64_t rows, std::int64_t columns, std::int64_t first_row, std::int64_t first_column,
                        std::int64_t whole_rows, std::int64_t stride) {
        return BlockGrid{block, rows, columns, first_row * stride + first_column, stride, whole_rows};
    };
    add_dequantize(cases, "whole", FourBit::NF4, box(64, 6, 128, 0, 0, 6, 128));
    add_dequantize(cases, "whole_fp4", FourBit::FP4, box(128, 6, 128, 0, 0, 6, 128));
    add_dequantize(cases, "whole_odd", FourBit::NF4, box(64, 5, 67, 0, 0, 5, 67), 3);
    add_dequantize(cases, "large", FourBit::NF4, box(64, 70, 1001, 0, 0, 70, 1001));
    add_dequantize(cases, "large_blocks", FourBit::FP4, box(4096, 37, 1024, 3, 0, 70, 1024), 5);
    add_dequantize(cases, "rows", FourBit::NF4, box(64, 3, 100, 5, 0, 11, 100));
    add_dequantize(cases, "columns", FourBit::NF4, box(64, 7, 128, 0, 64, 7, 256), 2);
    add_dequantize(cases, "columns_off_blocks", FourBit::NF4, box(64, 7, 90, 0, 45, 7, 180));
    add_dequantize(cases, "columns_odd", FourBit::FP4, box(32, 9, 33, 1, 34, 11, 101));
    add_dequantize(cases, "columns_wide", FourBit::NF4, box(64, 9, 9001, 0, 9001, 9, 18002));
    add_dequantize(cases, "one", FourBit::NF4, box(64, 1, 1, 3, 5, 7, 9));
    for (const std::int64_t n : {1, 255, 1000, 70001}) add_adamw(cases, n);
    return cases;
}

}  // namespace tandem::test
