#include <fmt/format.h>

#include <cmath>

#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/glu.h"
#include "kernels/ops/rmsnorm.h"
#include "kernels/ops/rope.h"
#include "tests/kernels/op_case.h"

namespace tandem::test {

namespace {

void add_rmsnorm(std::vector<OpCase>& cases, std::int64_t n, std::int64_t h, double offset, std::int64_t pad) {
    const RmsNorm norm{1e-5, offset};
    const auto name = fmt::format("{}x{}_offset{}{}", n, h, static_cast<int>(offset), pad ? "_strided" : "");
    const OperandSpec w{"w", {h}, Kind::Compute, normal(0.3, 1.0 - offset)};
    // One element a row is divided by itself: near zero the curvature is that of eps, too sharp for finite differences.
    const OperandSpec x{"x", {n, h}, Kind::Compute, h == 1 ? uniform(1.0, 2.0) : normal(), pad};
    cases.push_back({"rmsnorm",
                     "rmsnorm_" + name,
                     {x, w, output("y", {n, h}, pad), output("rstd", {n}, 0, Kind::Accumulation), input("dy", {n, h}, pad),
                      input("dx", {n, h}, pad), accumulator("dw", {h})},
                     [=](Context& ctx, const Operands& o) { ops::rmsnorm(ctx, norm, o.at("x"), o.at("w"), o.at("y"), o.at("rstd")); },
                     [=](Context& ctx, const Operands& o) {
                         ops::rmsnorm_backward(ctx, norm, o.at("dy"), o.at("x"), o.at("w"), o.at("rstd"), o.at("dx"), Write::Accumulate,
                                               o.at("dw"));
                     },
                     {"y"},
                     {"x", "w"},
                     {"x", "w"}});
    // In place, statistics not kept by the forward that is checked, w frozen, dx over dy.
    cases.push_back({"rmsnorm",
                     "rmsnorm_in_place_" + name,
                     {x, w, output("y", {n, h}, pad), output("rstd", {n}, 0, Kind::Accumulation), output("saved", {n, h}),
                      input("dy", {n, h}, pad), output("dx", {n, h}, pad)},
                     [=](Context& ctx, const Operands& o) {
                         ops::rmsnorm(ctx, norm, o.at("x"), o.at("w"), o.at("saved"), o.at("rstd"));
                         ops::cast(ctx, o.at("x"), o.at("y"));
                         ops::rmsnorm(ctx, norm, o.at("y"), o.at("w"), o.at("y"), {});
                     },
                     [=](Context& ctx, const Operands& o) {
                         ops::cast(ctx, o.at("dy"), o.at("dx"));
                         ops::rmsnorm_backward(ctx, norm, o.at("dx"), o.at("x"), o.at("w"), o.at("rstd"), o.at("dx"), Write::Overwrite, {});
                     },
                     {"y"},
                     {"x"}});
}

struct Heads {
    std::int64_t n, heads, head_dim, rotated, padding;
};

void add_rope(std::vector<OpCase>& cases, const Heads& s) {
    constexpr std::int64_t kPositions = 50;
    const auto half = s.rotated / 2;
    const auto angle = [=](std::int64_t i) {  // position * 10000^(-2 j / d)
        return static_cast<double>(i / half) * std::pow(1e4, -2.0 * static_cast<double>(i % half) / static_cast<double>(s.rotated));
    };
    const Shape shape{s.n, s.heads, s.head_dim};
    cases.push_back({"rope",
                     fmt::format("rope_{}x{}x{}_of_{}{}", s.n, s.heads, s.rotated, s.head_dim, s.padding ? "_strided" : ""),
                     {input("x", shape),
                      {"cos", {kPositions, half}, Kind::Accumulation, [=](std::int64_t i, std::uint64_t) { return std::cos(angle(i)); }},
                      {"sin", {kPositions, half}, Kind::Accumulation, [=](std::int64_t i, std::uint64_t) { return std::sin(angle(i)); }},
                      {"positions", {s.n}, Kind::Int32, below(kPositions)},
                      output("y", shape, s.padding),
                      input("dy", shape),
                      output("dx", shape, s.padding)},
                     [](Context& ctx, const Operands& o) {
                         ops::cast(ctx, o.at("x"), o.at("y"));
                         ops::rope(ctx, Rotation::Forward, o.at("cos"), o.at("sin"), o.at("positions"), o.at("y"));
                     },
                     [](Context& ctx, const Operands& o) {
                         ops::cast(ctx, o.at("dy"), o.at("dx"));
                         ops::rope(ctx, Rotation::Backward, o.at("cos"), o.at("sin"), o.at("positions"), o.at("dx"));
                     },
                     {"y"},
                     {"x"}});
}

void add_glu(std::vector<OpCase>& cases, Activation act, std::int64_t n, std::int64_t f, std::int64_t pad) {
    const auto name = fmt::format("{}_{}x{}{}", act == Activation::SiLU ? "silu" : "gelu", n, f, pad ? "_strided" : "");
    const Shape shape{n, f};
    const OperandSpec gate{"gate", shape, Kind::Compute, normal(2.0), pad};
    cases.push_back(
        {"glu",
         "glu_" + name,
         {gate, input("up", shape, pad), output("y", shape), input("dy", shape, pad), output("dgate", shape, pad), output("dup", shape)},
         [=](Context& ctx, const Operands& o) { ops::glu(ctx, act, o.at("gate"), o.at("up"), o.at("y")); },
         [=](Context& ctx, const Operands& o) {
             ops::glu_backward(ctx, act, o.at("dy"), o.at("gate"), o.at("up"), o.at("dgate"), o.at("dup"));
         },
         {"y"},
         {"gate", "up"}});
    cases.push_back({"glu",
                     "glu_in_place_" + name,
                     {gate, input("up", shape, pad), output("y", shape, pad), input("dy", shape), output("dgate", shape, pad),
                      output("dup", shape, pad), output("over_dy", shape), output("dup2", shape)},
                     [=](Context& ctx, const Operands& o) {
                         ops::cast(ctx, o.at("gate"), o.at("y"));
                         ops::glu(ctx, act, o.at("y"), o.at("up"), o.at("y"));
                     },
                     [=](Context& ctx, const Operands& o) {
                         ops::cast(ctx, o.at("gate"), o.at("dgate"));
                         ops::cast(ctx, o.at("up"), o.at("dup"));
                         ops::glu_backward(ctx, act, o.at("dy"), o.at("dgate"), o.at("dup"), o.at("dgate"), o.at("dup"));
                         ops::cast(ctx, o.at("dy"), o.at("over_dy"));
                         ops::glu_backward(ctx, act, o.at("over_dy"), o.at("gate"), o.at("up"), o.at("over_dy"), o.at("dup2"));
                     },
                     {"y"},
                     {"gate", "up"}});
}

void add_cross_entropy(std::vector<OpCase>& cases, std::int64_t n, std::int64_t vocabulary, double spread, double shift, std::int64_t pad) {
    const Shape shape{n, vocabulary};
    const OperandSpec logits{"logits", shape, Kind::Accumulation, normal(spread, shift), pad};
    const OperandSpec labels{"labels", {n}, Kind::Int32, below(vocabulary)};
    const OperandSpec loss{"loss", {1}, Kind::Float64, constant(0.5)};
    const auto name = fmt::format("{}x{}{}{}", n, vocabulary,
                                  shift > 0.0   ? "_raised"
                                  : shift < 0.0 ? "_lowered"
                                                : "",
                                  pad ? "_strided" : "");
    cases.push_back(
        {"cross_entropy",
         "cross_entropy_" + name,
         {logits, labels, loss, output("dlogits", shape, pad)},
         [](Context& ctx, const Operands& o) { ops::cross_entropy(ctx, o.at("logits"), o.at("labels"), o.at("loss"), o.at("dlogits")); },
         nullptr,
         {"loss"},
         {"logits"}});
    cases.push_back({"cross_entropy",
                     "cross_entropy_in_place_" + name,
                     {logits, labels, loss, output("dlogits", shape, pad, Kind::Accumulation)},
                     [](Context& ctx, const Operands& o) {
                         ops::cast(ctx, o.at("logits"), o.at("dlogits"));
                         ops::cross_entropy(ctx, o.at("dlogits"), o.at("labels"), o.at("loss"), o.at("dlogits"));
                     },
                     nullptr,
                     {"loss"},
                     {"logits"}});
    cases.push_back({"cross_entropy", "cross_entropy_evaluation_" + name, {logits, labels, loss}, [](Context& ctx, const Operands& o) {
                         ops::cross_entropy(ctx, o.at("logits"), o.at("labels"), o.at("loss"), {});
                     }});
}

/// The vocabulary cut into parts, as if each were a rank's: statistics of all, then loss and gradient from them, the gradient also over
/// the logits themselves.
void add_cross_entropy_parts(std::vector<OpCase>& cases, std::int64_t n, const std::vector<std::int64_t>& widths, double shift) {
    const auto ranks = static_cast<std::int64_t>(widths.size());
    std::vector<std::int64_t> starts{0};
    for (const auto width : widths) starts.push_back(starts.back() + width);
    const std::int64_t vocabulary = starts.back();
    OpCase c;
    c.op = "cross_entropy";
    c.name = fmt::format("cross_entropy_{}x{}_in_{}_parts{}", n, vocabulary, ranks, shift != 0.0 ? "_raised" : "");
    c.operands = {{"logits", {n, vocabulary}, Kind::Accumulation, normal(3.0, shift), 2},
                  output("statistics", {ranks, n, 3}, 0, Kind::Accumulation),
                  {"loss", {1}, Kind::Float64, constant(0.5)},
                  {"loss_alone", {1}, Kind::Float64, constant(0.25)},
                  output("dlogits", {n, vocabulary}, 1),
                  output("in_place", {n, vocabulary}, 0, Kind::Accumulation)};
    for (std::size_t k = 0; k < widths.size(); ++k) {
        std::vector<double> local;
        for (std::int64_t i = 0; i < n; ++i) {
            const std::int64_t label = (i * 7 + 3) % vocabulary - starts[k];
            local.push_back(label >= 0 && label < widths[k] ? static_cast<double>(label) : -1.0);
        }
        c.operands.push_back({fmt::format("labels{}", k), {n}, Kind::Int32, values(local)});
    }
    c.forward = [=](Context& ctx, const Operands& o) {
        const Tensor& statistics = o.at("statistics");
        ops::cast(ctx, o.at("logits"), o.at("in_place"));
        const auto each = [&](auto body) {
            for (std::int64_t k = 0; k < ranks; ++k) {
                const auto first = starts[static_cast<std::size_t>(k)], last = starts[static_cast<std::size_t>(k) + 1];
                body(k, first, last, o.find(fmt::format("labels{}", k))->second);
            }
        };
        each([&](std::int64_t k, std::int64_t first, std::int64_t last, const Tensor& labels) {
            ops::cross_entropy_statistics(ctx, o.at("logits").columns(first, last), labels, statistics.rows(k, k + 1).reshape({n, 3}));
        });
        each([&](std::int64_t k, std::int64_t first, std::int64_t last, const Tensor& labels) {
            const Tensor z = o.at("logits").columns(first, last), own = o.at("in_place").columns(first, last);
            // The first part's rank counts the loss; evaluation asks for nothing but it.
            ops::cross_entropy_from_statistics(ctx, z, labels, statistics, k == 0 ? o.at("loss") : Tensor(),
                                               o.at("dlogits").columns(first, last));
            ops::cross_entropy_from_statistics(ctx, own, labels, statistics, {}, own);
            if (k == ranks - 1) ops::cross_entropy_from_statistics(ctx, z, labels, statistics, o.at("loss_alone"), {});
        });
    };
    c.outputs = {"loss"};
    c.inputs = {"logits"};
    cases.push_back(std::move(c));
}

}  // namespace

std::vector<OpCase> layer_cases() {
    std::vector<OpCase> cases;
    for (const double offset : {0.0, 1.0}) {
        add_rmsnorm(cases, 1, 1, offset, 0);
        add_rmsnorm(cases, 7, 33, offset, 0);
        add_rmsnorm(cases, 5, 20, offset, 3);
        add_rmsnorm(cases, 40, 129, offset, 0);
        add_rmsnorm(cases, 70, 16, offset, 8);  // aligned rows of a few accesses of 16 bytes, in two ranges for dw
    }
    add_rmsnorm(cases, 9, 1040, 1.0, 8);  // more than a warp holds in registers, and two ranges
    add_rmsnorm(cases, 3, 1100, 0.0, 0);  // more than a block holds, of single elements
    add_rmsnorm(cases, 2, 8208, 0.0, 0);  // and of 16 bytes
    for (const Heads& s : {Heads{1, 1, 2, 2, 0},
                           {7, 3, 8, 8, 0},
                           {5, 2, 10, 6, 0},
                           {6, 3, 16, 16, 5},
                           {33, 5, 64, 64, 0},
                           {9, 2, 80, 20, 1},
                           {4, 6, 128, 128, 0},
                           {5, 2, 48, 32, 8},
                           {4, 2, 20, 16, 0},
                           {3, 1, 24, 16, 0},
                           {2, 3, 6, 4, 1}})
        add_rope(cases, s);
    for (const auto act : {Activation::SiLU, Activation::GeluTanh}) {
        add_glu(cases, act, 1, 1, 0);
        add_glu(cases, act, 7, 33, 0);
        add_glu(cases, act, 40, 129, 2);
        add_glu(cases, act, 5, 16, 8);
        add_glu(cases, act, 3, 44, 4);
    }
    add_cross_entropy(cases, 1, 2, 1.0, 0.0, 0);
    add_cross_entropy(cases, 7, 33, 3.0, 0.0, 2);
    add_cross_entropy(cases, 33, 301, 2.0, 0.0, 0);
    add_cross_entropy(cases, 3, 4104, 2.0, 0.0, 0);   // in accesses of 16 bytes, more than one a thread
    add_cross_entropy(cases, 5, 40, 3.0, 800.0, 0);   // exp overflows without the shift by the maximum
    add_cross_entropy(cases, 5, 40, 3.0, -800.0, 0);  // and its sum vanishes
    add_cross_entropy_parts(cases, 7, {33}, 0.0);
    add_cross_entropy_parts(cases, 7, {5, 28}, 0.0);
    add_cross_entropy_parts(cases, 9, {1, 40, 7}, 0.0);
    add_cross_entropy_parts(cases, 5, {1100, 30, 170}, 0.0);
    add_cross_entropy_parts(cases, 5, {20, 20}, 800.0);
    return cases;
}

}  // namespace tandem::test
