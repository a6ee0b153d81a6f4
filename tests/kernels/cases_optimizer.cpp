#include <fmt/format.h>

#include "kernels/ops/optimizer.h"
#include "tests/kernels/op_case.h"

namespace tandem::test {

namespace {

OperandSpec scalar(std::string name, double value) { return {std::move(name), {1}, Kind::Float64, constant(value)}; }

OperandSpec state(std::string name, std::int64_t n, Fill fill) { return {std::move(name), {n}, Kind::Accumulation, std::move(fill)}; }

void add_steps(std::vector<OpCase>& cases, std::int64_t n) {
    cases.push_back(
        {"optimizer",
         fmt::format("adamw_{}", n),
         {state("grad", n, normal(0.1)), state("m", n, constant(0.0)), state("v", n, constant(0.0)), state("master", n, normal()),
          scalar("scale", 0.25)},
         [](Context& ctx, const Operands& o) {
             for (std::int64_t step = 1; step <= 3; ++step)
                 ops::adamw(ctx, {1e-2, 0.9, 0.999, 1e-8, 0.1, step}, o.at("scale"), o.at("grad"), o.at("m"), o.at("v"), o.at("master"));
         }});
    cases.push_back({"optimizer",
                     fmt::format("sgd_{}", n),
                     {state("grad", n, normal()), state("master", n, normal()), scalar("scale", 0.5)},
                     [](Context& ctx, const Operands& o) {
                         ops::sgd(ctx, {1e-2, 0.1}, o.at("scale"), o.at("grad"), o.at("master"));
                     }});
    for (const double max_norm : {0.0, 0.1, 1e6}) {
        cases.push_back({"optimizer",
                         fmt::format("norm_{}_max{}", n, static_cast<int>(10 * max_norm)),
                         {{"x", {n, 3}}, state("grad", n, normal()), scalar("sum", 0.75), scalar("norm", -1.0), scalar("scale", -1.0)},
                         [=](Context& ctx, const Operands& o) {
                             ops::sum_of_squares(ctx, o.at("x"), o.at("sum"));
                             ops::sum_of_squares(ctx, o.at("grad"), o.at("sum"));
                             ops::clip_scale(ctx, o.at("sum"), max_norm, 0.01, o.at("norm"), o.at("scale"));
                         }});
    }
}

}  // namespace

std::vector<OpCase> optimizer_cases() {
    std::vector<OpCase> cases;
    for (const std::int64_t n : {1, 33, 1000, 70001}) add_steps(cases, n);
    return cases;
}

}  // namespace tandem::test
