// The dry run of a GPU against the cuda backend itself, on the emulator: what a plan counts is what the ops take.
#include <gtest/gtest.h>

#include "kernels/cuda/backend_cuda.h"
#include "kernels/dry/backend_dry.h"
#include "tests/kernels/op_case.h"

namespace tandem::test {

namespace {

struct Row {
    DType type;
    const OpCase* op_case;
    AttentionKernels attention = AttentionKernels::Own;
};

/// What an op takes may depend on its sizes and its type: every case, in fp32 and one 16-bit type.
std::vector<Row> rows() {
    std::vector<Row> all;
    for (const DType type : {DType::F32, DType::BF16, DType::F16})
        for (const auto& op_case : op_cases()) {
            all.push_back({type, &op_case});
            if (op_case.op == "attention" && type == DType::BF16) all.push_back({type, &op_case, AttentionKernels::Cudnn});
        }
    return all;
}

class DryCuda : public testing::TestWithParam<Row> {};

std::pair<std::size_t, std::size_t> workspace_of(Backend& backend, const Row& row) {
    CaseRun run(backend, *row.op_case, row.type);
    run.forward();
    const std::size_t forward = run.workspace_peak();
    run.backward();
    return {forward, run.workspace_peak()};
}

}  // namespace

TEST_P(DryCuda, TakesTheWorkspaceOfTheRealRun) {
    CudaBackend cuda(0, {.attention = GetParam().attention});
    const auto dry = make_dry_cuda_backend(GetParam().attention);
    EXPECT_EQ(workspace_of(*dry, GetParam()), workspace_of(cuda, GetParam()));
    EXPECT_EQ(dry->name(), cuda.name());
}

INSTANTIATE_TEST_SUITE_P(, DryCuda, testing::ValuesIn(rows()), [](const auto& row) {
    return std::string(name(row.param.type)) + "_" + row.param.op_case->name +
           (row.param.attention == AttentionKernels::Cudnn ? "_library" : "");
});

}  // namespace tandem::test
