// A step on real ranks against the plain loop of the toy model.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/base/backend.h"
#include "parallel/executor.h"
#include "parallel/mesh.h"
#include "tests/support/ranks.h"
#include "tests/support/toy_stage.h"

namespace tandem::test {

/// Units of `parts` parts, of several sizes.
inline std::vector<UnitRange> uneven_parts(int parts) {
    std::vector<UnitRange> units;
    for (int s = 0, next = 0; s < parts; ++s, next = units.back().last) units.push_back({next, next + 1 + (s + 1) % 3});
    units.back().last += parts == 1 ? 2 : 0;
    return units;
}

class PipelineTest : public testing::Test {
protected:
    /// Two steps on stages x data ranks against the same steps in one loop.
    void expect_equal(Mesh& mesh, Schedule schedule, const PipelineShape& shape, const Lowering& lowering) {
        SCOPED_TRACE(fmt::format(
            "{}, {} stages, {} chunks, {} micro-batches, recompute {}, hoisted {}, deferred {}, frozen {}, tied {}, {}, from {}",
            name(schedule), shape.stages, shape.chunks, shape.micro_batches, lowering.recompute, lowering.hoisted_units,
            lowering.deferred_units, lowering.frozen_base, lowering.tied, lowering.reduction == ReduceMoment::Each ? "each" : "last",
            lowering.lowest_trained));
        const ToyModel model{lowering.units(), lowering.tied, lowering.trained_buckets};
        const auto programs = make_programs(schedule, shape, lowering);
        const auto& program = programs[static_cast<std::size_t>(mesh.place().pipeline)];
        ToyStage stage(model, shape, lowering, mesh.pipeline(), mesh.data());
        Executor executor(mesh.pipeline(), outbox_);
        constexpr int steps = 2;
        for (int step = 0; step < steps; ++step) {
            stage.begin_step(step);
            const auto before = stage.weights();
            executor.run(ctx_, program, 0, tail(program), stage);
            EXPECT_EQ(stage.weights(), before);
            executor.run(ctx_, program, tail(program), program.size(), stage);
        }
        std::int64_t loss = stage.loss();
        mesh.world().sum(std::span(&loss, 1));  // before anything can end this on one rank only
        const auto want = train_toy(model, steps, mesh.sizes().data * shape.micro_batches);
        for (const auto& [unit, weight] : stage.weights())
            ASSERT_EQ(weight, want.weights[static_cast<std::size_t>(unit)]) << "unit " << unit;
        ASSERT_EQ(loss % 1'000'003, want.loss);
    }

    static Lowering everything_trained(const PipelineShape& shape) {
        Lowering lowering;
        lowering.parts = uneven_parts(shape.parts());
        lowering.trained_buckets.resize(static_cast<std::size_t>(lowering.units()));
        std::iota(lowering.trained_buckets.begin(), lowering.trained_buckets.end(), 0);
        return lowering;
    }
    static void tie(Lowering& lowering) {
        lowering.tied = true;
        lowering.trained_buckets.pop_back();
    }
    static void train_from(Lowering& lowering, int unit) {
        lowering.lowest_trained = unit;
        std::erase_if(lowering.trained_buckets, [unit](int bucket) { return bucket < unit; });
    }
    static std::vector<std::pair<Schedule, int>> schedules(int stages) {
        std::vector<std::pair<Schedule, int>> list = {
            {Schedule::GPipe, 1}, {Schedule::OneFOneB, 1}, {Schedule::Interleaved, 1}, {Schedule::ZbH1, 1}};
        for (int chunks = 2; stages > 1 && chunks <= 4; ++chunks) list.emplace_back(Schedule::Interleaved, chunks);
        return list;
    }
    static Outbox allocate_outbox(Arena& arena) {
        Outbox outbox;
        for (auto* lane : {&outbox.forward, &outbox.backward}) {
            for (auto& buffer : *lane) buffer = arena.allocate("outbox", DType::U8, Shape{kToyLength * 8});
        }
        return outbox;
    }

    std::unique_ptr<Backend> backend_ = make_ref_backend();
    std::unique_ptr<Stream> stream_ = backend_->make_stream();
    DeviceMemory memory_{*backend_, std::size_t{1} << 20U};
    Context ctx_{*backend_, *stream_, memory_[MemoryKind::Workspace]};
    Outbox outbox_ = allocate_outbox(memory_[MemoryKind::Communication]);
};

}  // namespace tandem::test
