// The reference in every type against itself in float64 on the same (rounded) inputs: rounding on store is all that differs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/op_case.h"
#include "tests/support/tolerance.h"

namespace tandem::test {

namespace {

class Precision : public testing::TestWithParam<DType> {};

}  // namespace

TEST_P(Precision, OfEveryOpIsThatOfItsType) {
    const auto type = GetParam();
    const auto backend = make_ref_backend();
    for (const auto& op_case : op_cases()) {
        SCOPED_TRACE(op_case.name);
        CaseRun rounded(*backend, op_case, type);
        CaseRun exact(*backend, op_case, DType::F64);
        for (const auto& [name, tensor] : exact.operands()) exact.set(name, rounded.get(name));
        for (auto* run : {&rounded, &exact}) run->forward(), run->backward();
        EXPECT_EQ(rounded.touched_padding(), "");
        for (const auto& [name, tensor] : exact.operands()) {
            const auto a = rounded.get(name);
            const auto b = exact.get(name);
            double squares = 0.0;
            for (const double v : b) squares += v * v;
            const double rms = std::sqrt(squares / std::max(1.0, static_cast<double>(b.size())));
            for (std::size_t i = 0; i < b.size(); ++i) {
                if (std::isnan(a[i]) && std::isnan(b[i])) continue;  // not a result of this case
                ASSERT_LE(std::abs(a[i] - b[i]), kPrecision * epsilon(type) * (std::abs(b[i]) + rms) + floor_of(type))
                    << name << "[" << i << "]";
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(, Precision, testing::Values(DType::F32, DType::BF16, DType::F16),
                         [](const auto& row) { return std::string(name(row.param)); });

}  // namespace tandem::test
