// Simulated bubbles against what is known in closed form. p stages, m micro-batches, v chunks; F, R, I, W seconds of a rank's layers.
#include "parallel/simulate.h"

#include <gtest/gtest.h>

#include "kernels/base/error.h"
#include "parallel/draw.h"
#include "parallel/lowering.h"

namespace {

using namespace tandem;

constexpr int kEverything = 99;

/// Two layers a part; embedding and head besides, which take no time.
Lowering lowering_for(const PipelineShape& shape) {
    Lowering lowering;
    for (int s = 0, next = 0; s < shape.parts(); ++s, next = lowering.parts.back().last) {
        lowering.parts.push_back({next, next + 2 + (s == 0 ? 1 : 0) + (s == shape.parts() - 1 ? 1 : 0)});
    }
    return lowering;
}

/// Seconds of a rank's whole share of the layers, as the formulas have them.
Costs costs_for(const PipelineShape& shape, const UnitSeconds& rank, int units) {
    const double layers = 2.0 * shape.chunks;
    auto costs = uniform_costs({rank.forward / layers, rank.recompute / layers, rank.input / layers, rank.weight / layers, rank.message});
    costs.seconds = [seconds = costs.seconds, units](int r, const Instruction& i) {
        Instruction layer_part = i;
        layer_part.units = {std::max(i.units.first, 1), std::min(i.units.last, units - 1)};
        if (layer_part.units.count() < 0) layer_part.units = {};
        return seconds(r, layer_part);
    };
    return costs;
}

Timeline run(Schedule schedule, const PipelineShape& shape, const UnitSeconds& rank, const Lowering& lowering) {
    auto costs = costs_for(shape, rank, lowering.units());
    costs.outbox = outbox_buffers(shape);
    return simulate(make_programs(schedule, shape, lowering), costs);
}

Timeline run(Schedule schedule, const PipelineShape& shape, const UnitSeconds& rank) {
    return run(schedule, shape, rank, lowering_for(shape));
}

void expect_idle(const Timeline& timeline, double idle, const PipelineShape& shape) {
    for (int rank = 0; rank < shape.stages; ++rank) {
        EXPECT_NEAR(timeline.idle_seconds(rank), idle, 1e-9)
            << "rank " << rank << " of " << shape.stages << ", " << shape.chunks << " chunks, " << shape.micro_batches << " micro-batches";
    }
}

TEST(Simulate, GPipeAndOneFOneBAreIdleForOnePassOverTheOtherStages) {
    for (const int p : {1, 2, 3, 4, 8}) {
        for (const int m : {1, 2, 7, 8, 16}) {
            const UnitSeconds rank{.forward = 1.25, .input = 1.5, .weight = 0.75};
            expect_idle(run(Schedule::GPipe, {p, 1, m}, rank), (p - 1) * 3.5, {p, 1, m});
            expect_idle(run(Schedule::OneFOneB, {p, 1, m}, rank), (p - 1) * 3.5, {p, 1, m});
        }
    }
}

TEST(Simulate, ChunksDivideTheBubble) {
    for (const int p : {2, 3, 4, 8}) {
        for (const int v : {1, 2, 3, 4}) {
            for (const int m : {p, 2 * p, 4 * p}) {
                expect_idle(run(Schedule::Interleaved, {p, v, m}, {.forward = 1, .input = 1, .weight = 1}), (p - 1) * 3.0 / v, {p, v, m});
            }
        }
    }
}

TEST(Simulate, WeightGradientsFillTheBubbleOfZbH1) {
    for (const int p : {2, 3, 4, 8}) {
        for (const int m : {p, 2 * p, 4 * p}) {
            const UnitSeconds rank{.forward = 1, .input = 1, .weight = 1};
            expect_idle(run(Schedule::ZbH1, {p, 1, m}, rank), (p - 1) * 1.0, {p, 1, m});
        }
    }
}

TEST(Simulate, RecomputationBeforeTheWaitAndWeightsAfterTheSendLeaveForwardAndInput) {
    for (const int p : {2, 4, 8}) {
        for (const int v : {1, 2, 4}) {
            for (const int m : {p, 2 * p}) {
                if (v > 1 && p == 8 && m > p) continue;  // a forward that another stage waits for comes after a recomputation
                const PipelineShape shape{p, v, m};
                auto lowering = lowering_for(shape);
                lowering.recompute = true;
                lowering.hoisted_units = lowering.deferred_units = kEverything;
                const UnitSeconds rank{.forward = 1, .recompute = 1, .input = 1, .weight = 1};
                expect_idle(run(Schedule::Interleaved, shape, rank, lowering), (p - 1) * 2.0 / v, shape);
                lowering.hoisted_units = lowering.deferred_units = 0;
                expect_idle(run(Schedule::Interleaved, shape, rank, lowering), (p - 1) * 4.0 / v, shape);
            }
        }
    }
}

/// Bubble in percent of p = 4, m = 8.
double percent(Schedule schedule, int chunks, const UnitSeconds& rank, int moved, bool frozen = false) {
    const PipelineShape shape{4, chunks, 8};
    auto lowering = lowering_for(shape);
    lowering.recompute = rank.recompute > 0;
    lowering.hoisted_units = lowering.deferred_units = moved;
    lowering.frozen_base = frozen;
    return 100 * run(schedule, shape, rank, lowering).bubble();
}

TEST(Simulate, FourStagesEightMicroBatches) {
    const UnitSeconds full{.forward = 1, .input = 1, .weight = 1};
    const UnitSeconds recomputed{.forward = 1, .recompute = 1, .input = 1, .weight = 1};
    const UnitSeconds adapters{.forward = 1, .recompute = 1, .input = 1.02, .weight = 0};
    using enum Schedule;
    EXPECT_NEAR(percent(OneFOneB, 1, full, 0), 37.5, 1e-9);
    EXPECT_NEAR(percent(OneFOneB, 1, full, kEverything), 25.0, 1e-9);
    EXPECT_NEAR(percent(Interleaved, 2, full, 0), 18.75, 1e-9);
    EXPECT_NEAR(percent(Interleaved, 2, full, kEverything), 12.5, 1e-9);
    EXPECT_NEAR(percent(Interleaved, 4, full, 0), 9.375, 1e-9);
    EXPECT_NEAR(percent(ZbH1, 1, full, 0), 12.5, 1e-9);
    EXPECT_NEAR(percent(OneFOneB, 1, recomputed, 0), 37.5, 1e-9);
    EXPECT_NEAR(percent(OneFOneB, 1, recomputed, kEverything), 18.75, 1e-9);
    EXPECT_NEAR(percent(Interleaved, 2, recomputed, kEverything), 9.375, 1e-9);
    EXPECT_NEAR(percent(ZbH1, 1, recomputed, 0), 18.75, 1e-9);
    EXPECT_NEAR(percent(ZbH1, 1, recomputed, kEverything), 9.375, 1e-9);
    // A frozen base: weights' gradients have nothing to give, recomputation has.
    EXPECT_NEAR(percent(OneFOneB, 1, adapters, kEverything, true), 100 * 3 * 2.02 / (8 * 3.02), 1e-9);
    EXPECT_NEAR(percent(Interleaved, 2, adapters, kEverything, true), 100 * 3 * 2.02 / 2 / (8 * 3.02), 1e-9);
    EXPECT_NEAR(percent(ZbH1, 1, adapters, 0, true), 37.5, 1e-9);
}

TEST(Simulate, MessagesTakeTimeAndClipWaitsForAll) {
    // Two stages, one micro-batch: there and back again.
    const auto timeline = run(Schedule::OneFOneB, {2, 1, 1}, {.forward = 1, .input = 1, .weight = 1, .message = 0.25});
    EXPECT_DOUBLE_EQ(timeline.seconds, 6.5);
    EXPECT_DOUBLE_EQ(timeline.spans[1].back().end, 6.5) << "the last rank's clip is the first one's";
    EXPECT_DOUBLE_EQ(timeline.busy_seconds(0), 3);
    EXPECT_DOUBLE_EQ(timeline.bubble(), 7.0 / 6.0);
    // A full outbox holds the sender: the slow second stage takes message 0 at 1, message 1 at 11, so that message 2's copy waits for that.
    const PipelineShape shape{2, 1, 3};
    const auto programs = make_forward_programs(shape, {{0, 1}, {1, 2}});
    auto costs = uniform_costs({.forward = 1});
    costs.outbox = 1;
    costs.seconds = [](int rank, const Instruction& i) { return i.op == Op::Forward ? (rank == 0 ? 1.0 : 10.0) : 0.0; };
    const auto held = simulate(programs, costs);
    EXPECT_DOUBLE_EQ(held.spans[0].back().start, 11);
    costs.outbox = 2;
    EXPECT_DOUBLE_EQ(simulate(programs, costs).spans[0].back().start, 3);
}

TEST(Simulate, ProgramsThatDoNotEndAreAnError) {
    auto programs = make_programs(Schedule::OneFOneB, {2, 1, 1}, lowering_for({2, 1, 1}));
    std::erase_if(programs[1], [](const Instruction& i) { return i.op == Op::SendBackward; });
    EXPECT_THROW(static_cast<void>(simulate(programs, uniform_costs({}))), Error);
}

TEST(Draw, PicturesAreTheseCharacters) {
    const PipelineShape shape{2, 1, 3};
    const auto programs = make_programs(Schedule::OneFOneB, shape, lowering_for(shape));
    const auto timeline = simulate(programs, costs_for(shape, {.forward = 1, .input = 1, .weight = 1}, 6));
    EXPECT_EQ(draw(programs, timeline, 24), R"(stage 0   FFFF....BBBBFFBBBB..BBBB
          0011    0000221111  2222
stage 1   ..FFBBBBFFBBBBFFBBBB....
            000000111111222222
F forward, B backward, . idle; below: micro-batch
step 12 s, a column 0.5 s, bubble 33.3 % of computing
)");
    EXPECT_EQ(draw(programs, timeline, 10).substr(0, 21), "stage 0   FF.BBFB.BB\n") << "what is in the middle of a column";
    const PipelineShape two{2, 2, 2};
    const auto chunks = make_programs(Schedule::Interleaved, two, lowering_for(two));
    EXPECT_EQ(draw(chunks, simulate(chunks, costs_for(two, {.forward = 1, .input = 1, .weight = 1}, 10)), 30),
              R"(stage 0   FFFFFFFF....BBBB..BBBBBBBBBBBB
          00110011    0000  111100001111
          aaaabbbb    bbbb  bbbbaaaaaaaa
stage 1   ..FFFFFFBBBBFFBBBBBBBBBBBB....
            001100000011111100001111
            aaaabbbbbbbbbbbbaaaaaaaa
F forward, B backward, . idle; below: micro-batch, chunk
step 7.5 s, a column 0.25 s, bubble 25.0 % of computing
)");
    auto split = lowering_for(shape);
    split.recompute = true;
    split.hoisted_units = kEverything;
    const auto zb = make_programs(Schedule::ZbH1, shape, split);
    EXPECT_EQ(draw(zb, simulate(zb, costs_for(shape, {.forward = 1, .recompute = 1, .input = 1, .weight = 1}, 6)), 26),
              R"(stage 0   FFFFRR..IIWWFFRRIIWWRRIIWW
          001100  000022111111222222
stage 1   ..FFRIRIFFRIRIWWFFRIRIWWWW
            000000111111002222221122
F forward, R recompute, I gradient of the input, W gradients of weights, . idle; below: micro-batch
step 13 s, a column 0.5 s, bubble 8.3 % of computing
)");
}

}  // namespace
