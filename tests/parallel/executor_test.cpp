// Programs executed by real ranks: every schedule and everything the passes can do gives the weights and losses of the plain loop.
#include "parallel/executor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <thread>

#include "kernels/base/error.h"
#include "tests/parallel/pipeline_test.h"

namespace {

using namespace tandem;
using test::ToyModel;
using test::ToyStage;

class ExecutorTest : public test::PipelineTest {};

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
                if (variant / 6 == 1 && schedule != Schedule::ZbH1) lowering.reduction = ReduceMoment::Each;
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

/// Messages only: of every micro-batch the same tensor, in and out.
class Mailbox final : public Stage {
public:
    Tensor forward_input(const Instruction& i) override { return message(in, i); }
    Tensor forward_output(const Instruction& i) override { return message(out, i); }
    Tensor output_gradient(const Instruction& i) override { return message(in, i); }
    Tensor input_gradient(const Instruction& i) override { return message(out, i); }
    void forward(const Instruction&) override {}
    void recompute(const Instruction&) override {}
    void backward(const Instruction&) override {}
    void backward_input(const Instruction&) override {}
    void backward_weight(const Instruction&) override {}
    void reduce(int) override {}
    void clip() override {}
    void update(int) override {}
    void gather(int) override {}

    std::map<int, test::Values> in, out;

private:
    static Tensor message(std::map<int, test::Values>& box, const Instruction& i) {
        auto& values = box[i.micro_batch];
        values.resize(test::kToyLength, 10 + i.micro_batch);
        return {values.data(), DType::I64, Shape{test::kToyLength}};
    }
};

Instruction message(Op op, int micro_batch, int peer) {
    Instruction i;
    i.op = op;
    i.micro_batch = micro_batch;
    i.peer = peer;
    return i;
}

TEST_F(ExecutorTest, ASendGoesOnWhileBuffersAreFree) {
    // Both ranks send two messages before they receive any.
    if (test_world().size() != 2) GTEST_SKIP() << "two ranks tell it";
    const bool first = test_world().rank() == 0;
    Program program;
    for (const int m : {0, 1}) program.push_back(message(first ? Op::SendForward : Op::SendBackward, m, first ? 1 : 0));
    for (const int m : {0, 1}) program.push_back(message(first ? Op::ReceiveBackward : Op::ReceiveForward, m, first ? 1 : 0));
    Mailbox stage;
    Executor(test_world(), outbox_).run(ctx_, program, 0, program.size(), stage);
    for (const int m : {0, 1}) EXPECT_EQ(stage.in[m], test::Values(test::kToyLength, 10 + m));
}

TEST_F(ExecutorTest, ABufferIsNotWrittenWhileItsMessageIsUnderWay) {
    if (test_world().size() != 2) GTEST_SKIP() << "two ranks tell it";
    const bool first = test_world().rank() == 0;
    constexpr int messages = 20;
    Program program;
    for (int m = 0; m < messages; ++m) program.push_back(message(first ? Op::SendForward : Op::ReceiveForward, m, first ? 1 : 0));
    Mailbox stage;
    Executor executor(test_world(), outbox_);
    for (std::size_t i = 0; i < program.size(); ++i) {
        if (!first) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the sender is ahead
        executor.run(ctx_, program, i, i + 1, stage);
    }
    for (int m = 0; m < messages && !first; ++m) EXPECT_EQ(stage.in[m], test::Values(test::kToyLength, 10 + m)) << m;
}

TEST_F(ExecutorTest, AMessageIsForOneChunkOnly) {
    // What the last rank's chunk 0 sends is for rank 0's chunk 1 and does not meet a receive of chunk 0.
    if (test_world().size() != 2) GTEST_SKIP() << "two ranks tell it";
    Tensor x = outbox_.forward[0];
    if (test_world().rank() == 1) {
        Mailbox stage;
        Executor(test_world(), outbox_).run(ctx_, {message(Op::SendForward, 3, 0), message(Op::Clip, 0, -1)}, 0, 1, stage);
    } else {
        test_world().recv(*stream_, x.rows(0, test::kToyLength * 8), 1, 2 * (3 * kMaxChunks + 1));
    }
}

TEST_F(ExecutorTest, AMessageThatDoesNotFitIsRefusedBeforeItIsSent) {
    auto self = make_self_communicator();
    Mailbox stage;
    Outbox outbox = outbox_;
    outbox.forward[0] = outbox.forward[0].rows(0, 55);
    try {
        Executor(*self, outbox).run(ctx_, {message(Op::SendForward, 0, 0)}, 0, 1, stage);
        ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("does not fit an outbox buffer of 55 bytes"), std::string::npos) << error.what();
    }
}

}  // namespace
