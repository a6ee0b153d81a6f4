// The dry run against the real one: every op takes exactly the workspace that its rehearsal takes, and counts what it does.
#include <gtest/gtest.h>

#include "kernels/dry/backend_dry.h"
#include "kernels/ops/matmul.h"
#include "kernels/timed/backend_timed.h"
#include "tests/kernels/op_case.h"

namespace tandem::test {

namespace {

struct Row {
    int threads;
    DType type;
    const OpCase* op_case;
};

std::vector<Row> rows() {
    std::vector<Row> all;
    for (const int threads : {1, 3})
        for (const DType type : {DType::F32, DType::BF16, DType::F16})
            for (const auto& op_case : op_cases()) all.push_back({threads, type, &op_case});
    return all;
}

std::string label(const Row& row) {
    return std::string(name(row.type)) + "_" + std::to_string(row.threads) + "_threads_" + row.op_case->name;
}

class DryRun : public testing::TestWithParam<Row> {};

struct Peaks {
    std::size_t forward, both;
};

Peaks workspace_of(Backend& backend, const Row& row) {
    CaseRun run(backend, *row.op_case, row.type);
    run.forward();
    const std::size_t forward = run.workspace_peak();
    run.backward();
    return {forward, run.workspace_peak()};
}

}  // namespace

TEST_P(DryRun, TakesTheWorkspaceOfTheRealRun) {
    const auto cpu = make_cpu_backend(GetParam().threads);
    const auto dry = make_dry_cpu_backend(GetParam().threads);
    const Peaks real = workspace_of(*cpu, GetParam()), counted = workspace_of(*dry, GetParam());
    EXPECT_EQ(counted.forward, real.forward) << "forward";
    EXPECT_EQ(counted.both, real.both) << "forward and backward";
    EXPECT_FALSE(dry->counts().calls().empty());
}

TEST_P(DryRun, TheTimedRunComputesTheSame) {
    const auto cpu = make_cpu_backend(GetParam().threads);
    TimedBackend timed(make_cpu_backend(GetParam().threads));
    CaseRun plain(*cpu, *GetParam().op_case, GetParam().type), watched(timed, *GetParam().op_case, GetParam().type);
    for (CaseRun* run : {&plain, &watched}) {
        run->forward();
        run->backward();
    }
    for (const auto& [name, tensor] : plain.operands()) EXPECT_EQ(watched.bytes(name), plain.bytes(name)) << name;
    for (const auto& [call, record] : timed.counts().calls()) EXPECT_GT(record.seconds, 0) << call.op;
}

INSTANTIATE_TEST_SUITE_P(, DryRun, testing::ValuesIn(rows()), [](const auto& row) { return label(row.param); });

TEST(DryBackend, CountsProducts) {
    const auto dry = make_dry_ref_backend();
    const auto stream = dry->make_stream();
    DeviceMemory memory(*dry, std::size_t{1} << 48U);
    Context ctx{*dry, *stream, memory[MemoryKind::Workspace]};
    Arena& arena = memory[MemoryKind::Activations];
    const Tensor a = arena.allocate("a", DType::BF16, {100000, 300000}), b = arena.allocate("b", DType::BF16, {300000, 7});
    const Tensor c = arena.allocate("c", DType::F32, {100000, 7});
    ops::matmul(ctx, a, b, c);
    ops::matmul(ctx, a, b, c);
    const std::int64_t bytes = 2 * (100000LL * 300000 + 300000 * 7) + 4 * 100000 * 7;
    ASSERT_EQ(dry->counts().calls().size(), 1U);
    const auto& [call, record] = *dry->counts().calls().begin();
    EXPECT_EQ(call.op, "matmul");
    EXPECT_EQ(call.flops, 2LL * 100000 * 300000 * 7);
    EXPECT_EQ(call.bytes, bytes);
    EXPECT_EQ(record.calls, 2);
    EXPECT_EQ(call.extents, (std::array<std::int64_t, 3>{100000, 7, 300000}));
    EXPECT_GE(memory[MemoryKind::Activations].peak(), static_cast<std::size_t>(bytes)) << "60 GB that nobody has";
}

TEST(DryBackend, OperandsAreCheckedAsInARealRun) {
    const auto dry = make_dry_ref_backend();
    const auto stream = dry->make_stream();
    DeviceMemory memory(*dry, std::size_t{1} << 20U);
    Context ctx{*dry, *stream, memory[MemoryKind::Workspace]};
    Arena& arena = memory[MemoryKind::Activations];
    const Tensor a = arena.allocate("a", DType::F32, {2, 3}), b = arena.allocate("b", DType::F32, {4, 5});
    EXPECT_THROW(ops::matmul(ctx, a, b, arena.allocate("c", DType::F32, {2, 5})), Error);
}

}  // namespace tandem::test
