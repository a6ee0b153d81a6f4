// What a step's programs look like, written out, for small cases.
#include "parallel/program.h"

#include <gtest/gtest.h>

#include "kernels/base/error.h"
#include "parallel/lowering.h"
#include "parallel/schedules.h"

namespace {

using namespace tandem;

std::vector<Program> make(Schedule schedule, const PipelineShape& shape, const Lowering& lowering) {
    return make_programs(schedule, shape, lowering);
}

/// Six units, embedding and head among them, over two parts; everything trained.
Lowering six_units() {
    Lowering lowering;
    lowering.parts = {{0, 3}, {3, 6}};
    lowering.trained_buckets = {0, 1, 2, 3, 4, 5};
    return lowering;
}

TEST(Program, SchedulesInTheirOwnOrder) {
    EXPECT_EQ(to_text(make_schedule(Schedule::GPipe, {2, 1, 3})), "F0 F1 F2 B0 B1 B2\nF0 F1 F2 B0 B1 B2\n");
    EXPECT_EQ(to_text(make_schedule(Schedule::OneFOneB, {3, 1, 4})),
              "F0 F1 F2 B0 F3 B1 B2 B3\n"
              "F0 F1 B0 F2 B1 F3 B2 B3\n"
              "F0 B0 F1 B1 F2 B2 F3 B3\n");
    EXPECT_EQ(to_text(make_schedule(Schedule::ZbH1, {3, 1, 4})),
              "F0 F1 F2 I0 W0 F3 I1 W1 I2 W2 I3 W3\n"
              "F0 F1 I0 F2 I1 W0 F3 I2 W1 I3 W2 W3\n"
              "F0 I0 F1 I1 F2 I2 W0 F3 I3 W1 W2 W3\n");
    // As many micro-batches as stages: the first device has all forwards before its first backward.
    EXPECT_EQ(to_text(make_schedule(Schedule::Interleaved, {4, 2, 4})[0]),
              "0F0 0F1 0F2 0F3 1F0 1F1 1F2 1F3 1B0 1B1 1B2 1B3 0B0 0B1 0B2 0B3");
    EXPECT_EQ(to_text(make_schedule(Schedule::Interleaved, {4, 2, 4})[3]),
              "0F0 0F1 0F2 0F3 1F0 1B0 1F1 1B1 1F2 1B2 1F3 1B3 0B0 0B1 0B2 0B3");
    EXPECT_EQ(make_schedule(Schedule::Interleaved, {3, 1, 4}), make_schedule(Schedule::OneFOneB, {3, 1, 4}));
    EXPECT_EQ(to_text(make_forward_schedule({2, 2, 3})[1]), "0F0 0F1 1F0 1F1 0F2 1F2");
}

TEST(Program, WhatDoesNotGoTogetherIsRefusedByKeyAndValue) {
    const auto message = [](Schedule schedule, const PipelineShape& shape) -> std::string {
        try {
            static_cast<void>(make_schedule(schedule, shape));
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Configuration);
            return error.what();
        }
        return "accepted";
    };
    EXPECT_EQ(message(Schedule::OneFOneB, {2, 2, 4}),
              "parallel.schedule = 1f1b with parallel.chunks = 2: only interleaved has chunks; set parallel.schedule = interleaved or "
              "parallel.chunks = 1");
    EXPECT_NE(message(Schedule::GPipe, {2, 2, 4}).find("parallel.schedule = gpipe"), std::string::npos);
    EXPECT_NE(message(Schedule::ZbH1, {2, 2, 4}).find("parallel.schedule = zb-h1"), std::string::npos);
    EXPECT_EQ(message(Schedule::Interleaved, {1, 2, 4}),
              "parallel.chunks = 2 with parallel.pipeline = 1: one stage holds all layers; set parallel.chunks = 1");
    EXPECT_EQ(message(Schedule::Interleaved, {2, 17, 4}), "parallel.chunks = 17: at most 16");
    EXPECT_EQ(message(Schedule::Interleaved, {2, 16, 4}), "accepted");
}

TEST(Program, AWholeStep) {
    // The last part sends its gradient first and meets the data ranks then; the first reduces unit by unit.
    EXPECT_EQ(to_text(make(Schedule::OneFOneB, {2, 1, 2}, six_units())),
              "F0 Sf0 F1 Sf1 Rb0 B0 Rb1 B1[2,3) +2 B1[1,2) +1 B1[0,1) +0 clip U0 G0 U1 G1 U2 G2\n"
              "Rf0 F0 B0 Sb0 Rf1 F1 B1 Sb1 +5 +4 +3 clip U3 G3 U4 G4 U5 G5\n");
    auto each = six_units();
    each.reduction = ReduceMoment::Each;
    each.trained_buckets = {1, 4};
    each.lowest_trained = 1;
    EXPECT_EQ(to_text(make(Schedule::OneFOneB, {2, 1, 2}, each)),
              "F0 Sf0 F1 Sf1 Rb0 B0[1,3) +1 Rb1 B1[1,3) +1 clip U1 G1\n"
              "Rf0 F0 B0[4,6) +4 B0[3,4) Sb0 Rf1 F1 B1[4,6) +4 B1[3,4) Sb1 clip U4 G4\n");
    EXPECT_EQ(to_text(make_forward_programs({2, 1, 2}, six_units().parts)), "F0 Sf0 F1 Sf1\nRf0 F0 Rf1 F1\n");
}

TEST(Program, TiedWeightsAreCompleteWithTheEmbeddingOrEachEndHasItsCopy) {
    auto tied = six_units();
    tied.tied = true;
    tied.trained_buckets = {0, 5};
    EXPECT_EQ(to_text(make(Schedule::GPipe, {2, 1, 1}, tied)),
              "F0 Sf0 Rb0 B0 +0 clip U0 G0\n"
              "Rf0 F0 B0 Sb0 +5 +0 clip U0 G0 U5 G5\n");
    tied.parts = {{0, 6}};
    EXPECT_EQ(to_text(make(Schedule::GPipe, {1, 1, 2}, tied)), "F0 F1 B0 B1[5,6) +5 B1[0,5) +0 clip U0 G0 U5 G5\n");
    tied.reduction = ReduceMoment::Each;
    EXPECT_EQ(to_text(make(Schedule::OneFOneB, {1, 1, 2}, tied)), "F0 B0[5,6) +5 B0[0,5) +0 F1 B1[5,6) +5 B1[0,5) +0 clip U0 G0 U5 G5\n");
}

TEST(Program, RecomputationAndWeightGradientsMoveAsFarAsAsked) {
    auto lowering = six_units();
    lowering.parts = {{0, 2}, {2, 5}, {5, 6}};
    lowering.trained_buckets = {};
    lowering.recompute = true;
    const auto middle = [&] { return to_text(make(Schedule::OneFOneB, {3, 1, 1}, lowering)[1]); };
    EXPECT_EQ(middle(), "Rf0 F0 Sf0 Rb0 R0[4,5) B0[4,5) R0[3,4) B0[3,4) R0[2,3) B0[2,3) Sb0 clip");
    lowering.hoisted_units = 1;
    EXPECT_EQ(middle(), "Rf0 F0 Sf0 R0[4,5) Rb0 B0[4,5) R0[3,4) B0[3,4) R0[2,3) B0[2,3) Sb0 clip");
    EXPECT_EQ(to_text(make(Schedule::OneFOneB, {2, 1, 1},
                           [] {
                               auto two = six_units();
                               two.recompute = true;
                               two.hoisted_units = 9;
                               two.trained_buckets = {};
                               return two;
                           }())[1]),
              "Rf0 F0 B0[5,6) R0[4,5) B0[4,5) R0[3,4) B0[3,4) Sb0 clip")
        << "the last part has nothing to wait for";
    lowering.hoisted_units = 9;
    EXPECT_EQ(middle(), "Rf0 F0 Sf0 R0 Rb0 B0 Sb0 clip");
    lowering.deferred_units = 2;
    EXPECT_EQ(middle(), "Rf0 F0 Sf0 R0 Rb0 B0[4,5) I0[2,4) Sb0 W0[2,4) clip");
    lowering.hoisted_units = 0;
    EXPECT_EQ(middle(), "Rf0 F0 Sf0 Rb0 R0[4,5) B0[4,5) R0[3,4) I0[3,4) R0[2,3) I0[2,3) Sb0 W0[2,4) clip");
    lowering.trained_buckets = {2, 3, 4};
    EXPECT_EQ(middle(),
              "Rf0 F0 Sf0 Rb0 R0[4,5) B0[4,5) R0[3,4) I0[3,4) R0[2,3) I0[2,3) Sb0 +4 W0[2,3) +2 W0[3,4) +3 clip U2 G2 U3 G3 U4 G4");
    lowering.frozen_base = true;
    lowering.trained_buckets = {};
    EXPECT_EQ(middle(), "Rf0 F0 Sf0 Rb0 R0[4,5) B0[4,5) R0[3,4) B0[3,4) R0[2,3) B0[2,3) Sb0 clip");
    EXPECT_EQ(to_text(make(Schedule::ZbH1, {3, 1, 1}, lowering)[1]), middle()) << "a frozen base has nothing to defer";
    lowering.frozen_base = false;
    EXPECT_EQ(
        to_text(make(Schedule::ZbH1, {3, 1, 2}, lowering)),
        "F0 Sf0 F1 Sf1 Rb0 R0[1,2) I0 W0 Rb1 R1[1,2) I1 W1 clip\n"
        "Rf0 F0 Sf0 Rf1 F1 Sf1 Rb0 R0[4,5) I0[4,5) R0[3,4) I0[3,4) R0[2,3) I0[2,3) Sb0 Rb1 R1[4,5) I1[4,5) R1[3,4) I1[3,4) R1[2,3) I1[2,3) "
        "Sb1 W0 W1 clip\n"
        "Rf0 F0 I0 Sb0 Rf1 F1 I1 Sb1 W0 W1 clip\n");
}

TEST(Program, NothingBelowTheLowestTrainedUnit) {
    auto lowering = six_units();
    lowering.parts = {{0, 1}, {1, 3}, {3, 6}};
    lowering.lowest_trained = 3;
    lowering.trained_buckets = {3, 4};
    EXPECT_EQ(to_text(make(Schedule::OneFOneB, {3, 1, 1}, lowering)),
              "F0 Sf0 clip\nRf0 F0 Sf0 clip\nRf0 F0 B0[4,6) +4 B0[3,4) +3 clip U3 G3 U4 G4\n");
    lowering.lowest_trained = 6;
    lowering.trained_buckets = {};
    EXPECT_EQ(to_text(make(Schedule::ZbH1, {3, 1, 1}, lowering)), "F0 Sf0 clip\nRf0 F0 Sf0 clip\nRf0 F0 clip\n");
}

TEST(Program, SlotsAreWhatIsInFlight) {
    auto lowering = six_units();
    const auto slots = [&](Schedule schedule, const PipelineShape& shape) {
        lowering.parts.clear();
        lowering.trained_buckets = {};
        for (int s = 0; s < shape.parts(); ++s) lowering.parts.push_back({s, s + 1});
        std::vector<std::vector<int>> counts;
        for (const auto& program : make(schedule, shape, lowering)) counts.push_back(slot_counts(program));
        return counts;
    };
    using Counts = std::vector<std::vector<int>>;
    EXPECT_EQ(slots(Schedule::GPipe, {4, 1, 8}), (Counts{{8}, {8}, {8}, {8}}));
    EXPECT_EQ(slots(Schedule::OneFOneB, {4, 1, 8}), (Counts{{4}, {3}, {2}, {1}}));
    EXPECT_EQ(slots(Schedule::OneFOneB, {4, 1, 2}), (Counts{{2}, {2}, {2}, {1}}));
    EXPECT_EQ(slots(Schedule::ZbH1, {4, 1, 8}), (Counts{{4}, {4}, {4}, {4}}));
    // At most p (1 + (p - 1) / (p v)) whole ranks' activations at once, 11 chunks' here; chunks do not share slots.
    EXPECT_EQ(slots(Schedule::Interleaved, {4, 2, 8})[0], (std::vector<int>{8, 4}));
    for (const auto& program : make_forward_programs({4, 1, 8}, lowering.parts = {{0, 1}, {1, 2}, {2, 3}, {3, 4}})) {
        EXPECT_EQ(slot_counts(program), std::vector<int>{1});
    }
}

TEST(Program, TextOfOneInstruction) {
    Instruction i;
    i.op = Op::Recompute;
    i.chunk = 1;
    i.micro_batch = 3;
    i.units = {4, 9};
    EXPECT_EQ(to_text(i), "1R3[4,9)");
    EXPECT_EQ(name(i.op), "recompute");
}

}  // namespace
