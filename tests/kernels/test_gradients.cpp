// Every backward against finite differences of its forward, in float64 on the reference backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/op_case.h"
#include "tests/support/tolerance.h"

namespace tandem::test {

namespace {

struct Row {
    const OpCase* op_case;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.op_case->name; }

class Gradients : public testing::TestWithParam<Row> {};

/// L = sum over outputs of d<y> . y, from operands as after reset() except one that is given.
double loss(CaseRun& run, const OpCase& op_case, const std::string& name, const std::vector<double>& value) {
    run.reset();
    run.set(name, value);
    run.forward();
    double sum = 0.0;
    for (const auto& y : op_case.outputs) {
        const auto result = run.get(y);
        const bool weighted = run.operands().contains("d" + y);
        const auto weight = weighted ? run.get("d" + y) : std::vector<double>(result.size(), 1.0);
        for (std::size_t i = 0; i < result.size(); ++i) sum += weight[i] * result[i];
    }
    return sum;
}

/// Fourth-order central difference of the loss with respect to element i.
double difference(CaseRun& run, const OpCase& op_case, const std::string& name, std::vector<double> value, std::size_t i) {
    constexpr double kStep = 1e-3;
    const double at = value[i];
    const auto loss_at = [&](double offset) {
        value[i] = at + offset * kStep;
        return loss(run, op_case, name, value);
    };
    return (8.0 * (loss_at(1) - loss_at(-1)) - (loss_at(2) - loss_at(-2))) / (12.0 * kStep);
}

double rms(const std::vector<double>& x) {
    double squares = 0.0;
    for (const double v : x) squares += v * v;
    return x.empty() ? 0.0 : std::sqrt(squares / static_cast<double>(x.size()));
}

}  // namespace

TEST_P(Gradients, AgreeWithFiniteDifferences) {
    const OpCase& op_case = *GetParam().op_case;
    const auto backend = make_ref_backend();
    CaseRun run(*backend, op_case, DType::F64);
    for (const auto& x : op_case.inputs) {
        const auto& adds = op_case.accumulates;
        const bool accumulates = std::find(adds.begin(), adds.end(), x) != adds.end();
        run.reset();
        const auto value = run.get(x);
        const auto before = run.get("d" + x);
        run.forward();
        run.backward();
        EXPECT_EQ(run.touched_padding(), "");
        auto gradient = run.get("d" + x);
        ASSERT_EQ(gradient.size(), value.size());
        for (std::size_t i = 0; accumulates && i < gradient.size(); ++i) gradient[i] -= before[i];

        const double scale = rms(gradient);
        const auto samples = std::min<std::size_t>(value.size(), 20);
        for (std::size_t s = 0; s < samples; ++s) {
            const auto i = s * value.size() / samples;
            const double expected = difference(run, op_case, x, value, i);
            EXPECT_NEAR(gradient[i], expected, kGradient * (std::abs(expected) + scale) + kGradientFloor) << "d" << x << "[" << i << "]";
        }
    }
}

INSTANTIATE_TEST_SUITE_P(, Gradients, testing::ValuesIn([] {
                             std::vector<Row> with_gradient;
                             for (const auto& c : op_cases())
                                 if (!c.inputs.empty()) with_gradient.push_back({&c});
                             return with_gradient;
                         }()),
                         [](const auto& row) { return row.param.op_case->name; });

}  // namespace tandem::test
