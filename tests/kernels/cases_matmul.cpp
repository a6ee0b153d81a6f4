#include <fmt/format.h>

#include "kernels/ops/bias.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "tests/kernels/op_case.h"

namespace tandem::test {

namespace {

struct Sizes {
    std::int64_t m, n, k, padding;
    bool differences;  ///< small enough for finite differences
};

constexpr Sizes kSizes[] = {{1, 1, 1, 0, true},   {3, 5, 7, 0, true},       {17, 33, 9, 5, true},     {1, 70, 65, 0, true},
                            {70, 1, 33, 0, true}, {65, 130, 300, 0, false}, {130, 64, 257, 7, false}, {128, 256, 64, 0, false}};

Operand flip(const Operand& x) { return {x.x, x.transpose == Transpose::Yes ? Transpose::No : Transpose::Yes}; }

Shape stored(std::int64_t rows, std::int64_t columns, Transpose t) {
    return t == Transpose::Yes ? Shape{columns, rows} : Shape{rows, columns};
}

/// dx of an operand: g = d(op x) = left right, so that dx is g, or g^T = right^T left^T.
void operand_gradient(Context& ctx, Transpose t, const Operand& left, const Operand& right, const Tensor& dx, double alpha, Write write) {
    if (t == Transpose::No) ops::matmul(ctx, left, right, dx, alpha, write);
    else ops::matmul(ctx, flip(right), flip(left), dx, alpha, write);
}

void add_matmul(std::vector<OpCase>& cases, const Sizes& s, Transpose ta, Transpose tb) {
    const double alpha = s.k % 2 == 0 ? 0.25 : 1.0;
    OpCase c;
    c.op = "matmul";
    c.name = fmt::format("matmul_{}{}_{}x{}x{}{}", ta == Transpose::Yes ? "t" : "n", tb == Transpose::Yes ? "t" : "n", s.m, s.n, s.k,
                         s.padding ? "_strided" : "");
    c.operands = {input("a", stored(s.m, s.k, ta), s.padding),
                  input("b", stored(s.k, s.n, tb), s.padding),
                  output("c", {s.m, s.n}, s.padding),
                  input("added", {s.m, s.n}, s.padding),
                  output("wide", {s.m, s.n}, 0, Kind::Accumulation),
                  accumulator("sum", {s.m, s.n}),
                  input("dc", {s.m, s.n}, s.padding),
                  output("da", stored(s.m, s.k, ta), s.padding),
                  accumulator("db", stored(s.k, s.n, tb))};
    c.forward = [=](Context& ctx, const Operands& o) {
        const Operand a{o.at("a"), ta};
        const Operand b{o.at("b"), tb};
        ops::matmul(ctx, a, b, o.at("c"), alpha);
        ops::matmul(ctx, a, b, o.at("added"), alpha, Write::Accumulate);
        ops::matmul(ctx, a, b, o.at("wide"));
        ops::matmul(ctx, a, b, o.at("sum"), -alpha, Write::Accumulate);
    };
    c.backward = [=](Context& ctx, const Operands& o) {
        operand_gradient(ctx, ta, {o.at("dc")}, flip({o.at("b"), tb}), o.at("da"), alpha, Write::Overwrite);
        operand_gradient(ctx, tb, flip({o.at("a"), ta}), {o.at("dc")}, o.at("db"), alpha, Write::Accumulate);
    };
    c.outputs = {"c"};
    if (s.differences) c.inputs = {"a", "b"};
    c.accumulates = {"b"};
    cases.push_back(std::move(c));
}

/// y = x W^T + b, into rows that lie apart as well, and x^T W^T + b
OpCase product_with_bias(const Sizes& s) {
    OpCase c;
    c.op = "matmul";
    c.name = fmt::format("matmul_bias_{}x{}x{}{}", s.m, s.n, s.k, s.padding ? "_strided" : "");
    c.operands = {input("x", {s.m, s.k}, s.padding),
                  input("W", {s.n, s.k}, s.padding),
                  input("b", {s.n}),
                  output("y", {s.m, s.n}, s.padding),
                  input("xt", {s.k, s.m}),
                  output("z", {s.m, s.n}),
                  input("dy", {s.m, s.n}, s.padding),
                  output("dx", {s.m, s.k}),
                  accumulator("dW", {s.n, s.k}),
                  accumulator("db", {s.n})};
    c.forward = [](Context& ctx, const Operands& o) {
        ops::matmul_bias(ctx, {o.at("x")}, transposed(o.at("W")), o.at("b"), o.at("y"));
        ops::matmul_bias(ctx, transposed(o.at("xt")), transposed(o.at("W")), o.at("b"), o.at("z"));
    };
    c.backward = [](Context& ctx, const Operands& o) {
        ops::matmul(ctx, o.at("dy"), o.at("W"), o.at("dx"));
        ops::matmul(ctx, transposed(o.at("dy")), {o.at("x")}, o.at("dW"), 1.0, Write::Accumulate);
        ops::bias_backward(ctx, o.at("dy"), o.at("db"));
    };
    c.outputs = {"y"};
    if (s.differences) c.inputs = {"x", "W", "b"};
    c.accumulates = {"W", "b"};
    return c;
}

/// u = x A^T; y = x W^T + s u B^T; t = dy B; dA += s t^T x; dB += s dy^T u; dx = dy W + s t A; dW += dy^T x
OpCase linear_with_lora(std::int64_t tokens, std::int64_t in, std::int64_t out, std::int64_t r, std::int64_t padding) {
    const double s = 2.0 / static_cast<double>(r);
    OpCase c;
    c.op = "linear";
    c.name = fmt::format("linear_lora_{}x{}x{}_r{}", tokens, in, out, r);
    c.operands = {input("x", {tokens, in}, padding),
                  input("W", {out, in}),
                  input("A", {r, in}),
                  input("B", {out, r}),
                  output("u", {tokens, r}),
                  output("y", {tokens, out}, padding),
                  input("dy", {tokens, out}, padding),
                  output("t", {tokens, r}),
                  output("dx", {tokens, in}),
                  accumulator("dW", {out, in}),
                  accumulator("dA", {r, in}),
                  accumulator("dB", {out, r})};
    c.forward = [=](Context& ctx, const Operands& o) {
        ops::matmul(ctx, {o.at("x")}, transposed(o.at("A")), o.at("u"));
        ops::matmul(ctx, {o.at("x")}, transposed(o.at("W")), o.at("y"));
        ops::matmul(ctx, {o.at("u")}, transposed(o.at("B")), o.at("y"), s, Write::Accumulate);
    };
    c.backward = [=](Context& ctx, const Operands& o) {
        ops::matmul(ctx, o.at("dy"), o.at("B"), o.at("t"));
        ops::matmul(ctx, transposed(o.at("t")), {o.at("x")}, o.at("dA"), s, Write::Accumulate);
        ops::matmul(ctx, transposed(o.at("dy")), {o.at("u")}, o.at("dB"), s, Write::Accumulate);
        ops::matmul(ctx, transposed(o.at("dy")), {o.at("x")}, o.at("dW"), 1.0, Write::Accumulate);
        ops::matmul(ctx, o.at("dy"), o.at("W"), o.at("dx"));
        ops::matmul(ctx, o.at("t"), o.at("A"), o.at("dx"), s, Write::Accumulate);
    };
    c.outputs = {"y"};
    c.inputs = {"x", "W", "A", "B"};
    c.accumulates = {"W", "A", "B"};
    return c;
}

}  // namespace

std::vector<OpCase> matmul_cases() {
    std::vector<OpCase> cases;
    for (const auto& s : kSizes)
        for (const auto ta : {Transpose::No, Transpose::Yes})
            for (const auto tb : {Transpose::No, Transpose::Yes}) add_matmul(cases, s, ta, tb);
    for (const auto& s : kSizes) cases.push_back(product_with_bias(s));
    cases.push_back(linear_with_lora(5, 12, 7, 3, 0));
    cases.push_back(linear_with_lora(33, 40, 24, 8, 9));
    return cases;
}

}  // namespace tandem::test
