// Programs executed by real ranks: every schedule and everything the passes can do gives the weights and losses of the plain loop.
#include "parallel/executor.h"

#include <gtest/gtest.h>

#include <numeric>

#include "kernels/base/backend.h"
#include "kernels/base/error.h"
#include "parallel/mesh.h"
#include "tests/support/ranks.h"
#include "tests/support/toy_stage.h"

namespace {

using namespace tandem;
using test::ToyModel;
using test::ToyStage;

/// Units of `parts` parts, of several sizes.
std::vector<UnitRange> uneven_parts(int parts) {
    std::vector<UnitRange> units;
    for (int s = 0, next = 0; s < parts; ++s, next = units.back().last) units.push_back({next, next + 1 + (s + 1) % 3});
    units.back().last += parts == 1 ? 2 : 0;
    return units;
}

class ExecutorTest : public testing::Test {
protected:
    /// Two steps on stages x data ranks against the same steps in one loop.
    void expect_equal(Mesh& mesh, Schedule schedule, const PipelineShape& shape, const Lowering& lowering) {
        SCOPED_TRACE(fmt::format(
            "{}, {} stages, {} chunks, {} micro-batches, recompute {}, hoisted {}, deferred {}, frozen {}, tied {}, {}, from {}",
            name(schedule), shape.stages, shape.chunks, shape.micro_batches, lowering.recompute, lowering.hoisted_units,
            lowering.deferred_units, lowering.frozen_base, lowering.tied, lowering.reduction == Reduction::Each ? "each" : "last",
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
            for (auto& buffer : *lane) buffer = arena.allocate("outbox", DType::U8, Shape{test::kToyLength * 8});
        }
        return outbox;
    }

    std::unique_ptr<Backend> backend_ = make_ref_backend();
    std::unique_ptr<Stream> stream_ = backend_->make_stream();
    DeviceMemory memory_{*backend_, std::size_t{1} << 20U};
    Context ctx_{*backend_, *stream_, memory_[MemoryKind::Workspace]};
    Outbox outbox_ = allocate_outbox(memory_[MemoryKind::Communication]);
};

TEST_F(ExecutorTest, EverySchedule) {
    Mesh mesh(test_world(), {.data = 1, .tensor = 1, .pipeline = test_world().size()});
    for (const auto& [schedule, chunks] : schedules(mesh.sizes().pipeline)) {
        for (const int m : {1, 2, 3, 4, 5, 8, 11}) {
            const PipelineShape shape{mesh.sizes().pipeline, chunks, m};
            expect_equal(mesh, schedule, shape, everything_trained(shape));
        }
    }
}

TEST_F(ExecutorTest, RecomputedHoistedAndDeferred) {
    Mesh mesh(test_world(), {.data = 1, .tensor = 1, .pipeline = test_world().size()});
    for (const auto& [schedule, chunks] : schedules(mesh.sizes().pipeline)) {
        const PipelineShape shape{mesh.sizes().pipeline, chunks, 5};
        for (int variant = 0; variant < 36; ++variant) {
            auto lowering = everything_trained(shape);
            lowering.recompute = variant % 2 == 1;
            lowering.frozen_base = variant / 2 % 2 == 1;
            lowering.hoisted_units = variant / 4 % 3;
            lowering.deferred_units = variant / 12;
            expect_equal(mesh, schedule, shape, lowering);
        }
    }
}

TEST_F(ExecutorTest, TiedPartlyTrainedAndReducedOverDataRanks) {
    const int ranks = test_world().size();
    for (int data = 1; data <= ranks; ++data) {
        if (ranks % data != 0) continue;
        Mesh mesh(test_world(), {.data = data, .tensor = 1, .pipeline = ranks / data});
        for (const auto& [schedule, chunks] : schedules(mesh.sizes().pipeline)) {
            const PipelineShape shape{mesh.sizes().pipeline, chunks, 4};
            for (int variant = 0; variant < 12; ++variant) {
                auto lowering = everything_trained(shape);
                lowering.recompute = variant / 6 == 1;
                if (variant % 2 == 1) tie(lowering);
                if (variant % 3 > 0) train_from(lowering, lowering.units() * (variant % 3) / 3);
                if (variant % 3 == 2) lowering.trained_buckets.clear();
                if (variant / 6 == 1 && schedule != Schedule::ZbH1) lowering.reduction = Reduction::Each;
                expect_equal(mesh, schedule, shape, lowering);
            }
        }
    }
}

TEST_F(ExecutorTest, ForwardOnly) {
    Mesh mesh(test_world(), {.data = 1, .tensor = 1, .pipeline = test_world().size()});
    for (const auto& [schedule, chunks] : schedules(mesh.sizes().pipeline)) {
        const PipelineShape shape{mesh.sizes().pipeline, chunks, 7};
        const auto lowering = everything_trained(shape);
        const ToyModel model{lowering.units(), false, {}};
        const auto program = make_forward_programs(shape, lowering.parts)[static_cast<std::size_t>(test_world().rank())];
        ToyStage stage(model, shape, lowering, mesh.pipeline(), mesh.data());
        EXPECT_EQ(tail(program), program.size());
        Executor(mesh.pipeline(), outbox_).run(ctx_, program, 0, program.size(), stage);
        std::int64_t loss = stage.loss();
        mesh.world().sum(std::span(&loss, 1));
        EXPECT_EQ(loss, train_toy(model, 1, 7).loss);
    }
}

TEST_F(ExecutorTest, AnObserverSeesEveryInstructionBeforeAndAfter) {
    struct Recorder final : InstructionObserver {
        void begin(const Instruction& i) override { seen.push_back(i), open = true; }
        void end(const Instruction& i) override {
            EXPECT_TRUE(open && i == seen.back());
            open = false;
        }
        Program seen;
        bool open = false;
    } recorder;
    Mesh mesh(test_world(), {.data = 1, .tensor = 1, .pipeline = test_world().size()});
    const PipelineShape shape{mesh.sizes().pipeline, 1, 3};
    const auto lowering = everything_trained(shape);
    const auto program = make_programs(Schedule::OneFOneB, shape, lowering)[static_cast<std::size_t>(test_world().rank())];
    ToyStage stage({lowering.units(), false, lowering.trained_buckets}, shape, lowering, mesh.pipeline(), mesh.data());
    Executor(mesh.pipeline(), outbox_).run(ctx_, program, 0, program.size(), stage, &recorder);
    EXPECT_EQ(recorder.seen, program);
}

TEST_F(ExecutorTest, AMessageThatDoesNotFitIsRefusedBeforeItIsSent) {
    const PipelineShape shape{1, 1, 3};
    const auto lowering = everything_trained(shape);
    auto self = make_self_communicator();
    ToyStage stage({lowering.units(), false, {}}, shape, lowering, *self, *self);
    Instruction send;
    send.op = Op::SendForward;
    send.peer = 0;
    static_cast<void>(stage.forward_input(send));
    Outbox outbox = outbox_;
    outbox.forward[0] = outbox.forward[0].rows(0, 7 * 8 - 1);
    try {
        Executor(*self, outbox).run(ctx_, {send}, 0, 1, stage);
        ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("does not fit an outbox buffer of 55 bytes"), std::string::npos) << error.what();
    }
}

}  // namespace
