// Every backend against the reference on every case: values within tests/support/tolerance.h, nothing written outside the
// operands, workspace given back, and the same bits on every run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/kernels/candidates.h"
#include "tests/kernels/op_case.h"
#include "tests/support/tolerance.h"

namespace tandem::test {

namespace {

struct Row {
    Candidate candidate;
    DType type;
    const OpCase* op_case;
};

std::vector<Row> rows() {
    std::vector<Row> all;
    for (const auto& candidate : candidates())
        for (const auto type : candidate.types)
            for (const auto& op_case : op_cases())
                if (candidate.op.empty() || candidate.op == op_case.op) all.push_back({candidate, type, &op_case});
    return all;
}

std::string label(const Row& row) { return row.candidate.name + "_" + std::string(name(row.type)) + "_" + row.op_case->name; }

void PrintTo(const Row& row, std::ostream* out) { *out << label(row); }

class Conformance : public testing::TestWithParam<Row> {
protected:
    void SetUp() override {
        if (const auto obstacle = GetParam().candidate.obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
    }
};

/// Fails at the first element that is off, naming operand, element and both values.
void expect_close(const std::vector<double>& tested, const std::vector<double>& reference, const std::string& operand,
                  const Tolerance& tolerance) {
    ASSERT_EQ(tested.size(), reference.size()) << operand;
    double squares = 0.0;
    for (const double b : reference) squares += b * b;
    const double rms = reference.empty() ? 0.0 : std::sqrt(squares / static_cast<double>(reference.size()));
    for (std::size_t i = 0; i < reference.size(); ++i) {
        const double bound = tolerance.bound * (std::abs(reference[i]) + rms) + floor_of(tolerance.compute);
        if (std::isnan(tested[i]) && std::isnan(reference[i])) continue;  // neither wrote it: it is not a result of this case
        ASSERT_LE(std::abs(tested[i] - reference[i]), bound)
            << operand << "[" << i << "] is " << tested[i] << ", the reference has " << reference[i] << " (rms " << rms << "); tolerance "
            << tolerance.bound << ": " << tolerance.reason;
    }
}

std::map<std::string, std::vector<std::byte>> all_bytes(CaseRun& run) {
    std::map<std::string, std::vector<std::byte>> result;
    for (const auto& [name, tensor] : run.operands()) result[name] = run.bytes(name);
    return result;
}

}  // namespace

TEST_P(Conformance, AgreesWithReference) {
    const auto& [candidate, type, op_case] = GetParam();
    const auto reference_backend = make_ref_backend();
    const auto tested_backend = candidate.make();
    ASSERT_TRUE(tested_backend->supports(type));
    CaseRun reference(*reference_backend, *op_case, type);
    CaseRun tested(*tested_backend, *op_case, type);
    const auto compare = [&, &op = op_case->op, &compute = type] {
        for (const auto& [name, tensor] : reference.operands())
            expect_close(tested.get(name), reference.get(name), name, conformance(op, compute, tensor.dtype()));
    };
    reference.forward();
    tested.forward();
    compare();
    if (HasFatalFailure()) return;

    reference.backward();
    tested.backward();
    compare();
    EXPECT_EQ(tested.touched_padding(), "");
    EXPECT_EQ(tested.workspace_used(), 0U) << "the op kept workspace";
}

TEST_P(Conformance, SameBitsEveryTime) {
    const auto& [candidate, type, op_case] = GetParam();
    const auto backend = candidate.make();
    CaseRun run(*backend, *op_case, type);
    run.forward();
    run.backward();
    const auto first = all_bytes(run);
    run.reset();
    run.forward();
    run.backward();
    for (const auto& [name, bytes] : all_bytes(run)) EXPECT_EQ(bytes, first.at(name)) << name;
}

INSTANTIATE_TEST_SUITE_P(, Conformance, testing::ValuesIn(rows()), [](const auto& row) { return label(row.param); });

}  // namespace tandem::test
