// Every schedule at every small size runs to its end and follows the rules; programs with one planted fault do not.
#include "parallel/check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "kernels/base/error.h"

namespace {

using namespace tandem;

constexpr Schedule kSchedules[] = {Schedule::GPipe, Schedule::OneFOneB, Schedule::Interleaved, Schedule::ZbH1};

/// `per_part` units a part, everything trained.
Lowering lowering_for(const PipelineShape& shape, int per_part) {
    Lowering lowering;
    for (int s = 0; s < shape.parts(); ++s) lowering.parts.push_back({s * per_part, (s + 1) * per_part});
    for (int unit = 0; unit < lowering.units(); ++unit) lowering.trained_buckets.push_back(unit);
    return lowering;
}

void train_only_from(Lowering& lowering, int unit) {
    lowering.lowest_trained = unit;
    std::erase_if(lowering.trained_buckets, [unit](int bucket) { return bucket < unit; });
}

void each_shape(int stages, int chunks, int micro_batches, const std::function<void(Schedule, const PipelineShape&)>& visit) {
    for (const auto schedule : kSchedules) {
        for (int p = 1; p <= stages; ++p) {
            for (int v = 1; v <= (schedule == Schedule::Interleaved && p > 1 ? chunks : 1); ++v) {
                for (int m = 1; m <= micro_batches; ++m) {
                    SCOPED_TRACE(fmt::format("{}: {} stages, {} chunks, {} micro-batches", name(schedule), p, v, m));
                    visit(schedule, {p, v, m});
                }
            }
        }
    }
}

TEST(Check, EverySmallStepEndsAndFollowsTheRules) {
    each_shape(8, 4, 16, [](Schedule schedule, const PipelineShape& shape) {
        const auto lowering = lowering_for(shape, 1);
        const auto programs = make_programs(schedule, shape, lowering);
        for (const int outbox : {1, 2}) ASSERT_NO_THROW(check_progress(programs, outbox)) << outbox;
        ASSERT_NO_THROW(check_rules(programs, shape, lowering));
        for (const int outbox : {1, 2}) ASSERT_NO_THROW(check_progress(make_forward_programs(shape, lowering.parts), outbox)) << outbox;
    });
}

TEST(Check, WhateverThePassesAreAskedFor) {
    each_shape(4, 3, 6, [](Schedule schedule, const PipelineShape& shape) {
        for (int variant = 0; variant < 96; ++variant) {
            SCOPED_TRACE(variant);
            auto lowering = lowering_for(shape, 3);
            lowering.recompute = variant % 2 == 1;
            lowering.hoisted_units = variant / 2 % 2 * 2;
            lowering.frozen_base = variant / 4 % 2 == 1;
            lowering.tied = variant / 8 % 2 == 1;
            train_only_from(lowering, std::min(variant / 16 % 3 * 4, lowering.units()));
            const bool each = variant / 48 == 1;
            if (each && schedule == Schedule::ZbH1 && !lowering.frozen_base) continue;
            if (each) lowering.reduction = ReduceMoment::Each;
            else lowering.deferred_units = variant % 4;
            const auto programs = make_programs(schedule, shape, lowering);
            ASSERT_NO_THROW(check_progress(programs, 1));
            ASSERT_NO_THROW(check_rules(programs, shape, lowering));
        }
    });
}

std::string progress_fault(const std::vector<Program>& programs, int outbox) {
    try {
        check_progress(programs, outbox);
    } catch (const Error& error) {
        return error.what();
    }
    return "none";
}

std::string rule_fault(const std::vector<Program>& programs, const PipelineShape& shape, const Lowering& lowering) {
    try {
        check_rules(programs, shape, lowering);
    } catch (const Error& error) {
        return error.what();
    }
    return "none";
}

std::size_t find(const Program& program, const std::string& text) {
    for (std::size_t i = 0; i < program.size(); ++i) {
        if (to_text(program[i], program) == text) return i;
    }
    ADD_FAILURE() << text << " is not in " << to_text(program);
    return 0;
}

class Planted : public testing::Test {
protected:
    void SetUp() override {
        lowering_ = lowering_for(shape_, 2);
        lowering_.recompute = true;
        programs_ = make_programs(Schedule::OneFOneB, shape_, lowering_);
    }
    void erase(std::size_t rank, const std::string& text) {
        auto& program = programs_[rank];
        program.erase(program.begin() + static_cast<std::ptrdiff_t>(find(program, text)));
    }
    void swap(std::size_t rank, const std::string& a, const std::string& b) {
        std::swap(programs_[rank][find(programs_[rank], a)], programs_[rank][find(programs_[rank], b)]);
    }
    PipelineShape shape_{2, 1, 3};
    Lowering lowering_;
    std::vector<Program> programs_;
};

TEST_F(Planted, DeadlocksNameWhereEachRankIs) {
    swap(0, "Sf0", "Rb0");
    EXPECT_EQ(
        progress_fault(programs_, 2),
        fmt::format("the pipeline's ranks wait for each other: rank 0 at Rb0 (instruction 1 of {}), rank 1 at Rf0 (instruction 0 of {})",
                    programs_[0].size(), programs_[1].size()));
}

TEST_F(Planted, RanksThatNeedBuffersForAllTheirMessagesAreFound) {
    // Rank 0 sends two before it receives, rank 1 the other way round: ends with two buffers, not with one.
    const auto program = [](std::initializer_list<std::pair<Op, int>> steps, int peer) {
        Program result;
        for (const auto& [op, m] : steps) {
            Instruction i;
            i.op = op;
            i.micro_batch = m;
            i.peer = peer;
            result.push_back(i);
        }
        return result;
    };
    using enum Op;
    const std::vector<Program> programs = {program({{SendForward, 0}, {SendForward, 1}, {ReceiveBackward, 0}, {ReceiveBackward, 1}}, 1),
                                           program({{SendBackward, 0}, {SendBackward, 1}, {ReceiveForward, 0}, {ReceiveForward, 1}}, 0)};
    EXPECT_EQ(progress_fault(programs, 2), "none");
    EXPECT_NE(progress_fault(programs, 1).find("rank 0 at Sf1 (instruction 1 of 4), rank 1 at Sb1"), std::string::npos);
}

TEST_F(Planted, MessagesThatDoNotMeet) {
    swap(0, "Sf1", "Sf0");
    EXPECT_EQ(progress_fault(programs_, 2), "rank 1 is at Rf0 when rank 0 has sent Sf1");
    SetUp();
    erase(0, "Rb2");
    EXPECT_EQ(progress_fault(programs_, 2), "rank 1 sends Sb2, which rank 0 never receives");
    SetUp();
    erase(1, "Sb2");
    EXPECT_NE(progress_fault(programs_, 2).find("rank 0 at Rb2"), std::string::npos);
    EXPECT_NE(rule_fault(programs_, shape_, lowering_).find("micro-batch 2's gradient is not sent"), std::string::npos);
}

TEST_F(Planted, EveryInstructionLeftOutIsMissed) {
    for (std::size_t rank = 0; rank < 2; ++rank) {
        for (std::size_t i = 0; i < programs_[rank].size(); ++i) {
            auto copy = programs_;
            copy[rank].erase(copy[rank].begin() + static_cast<std::ptrdiff_t>(i));
            EXPECT_TRUE(rule_fault(copy, shape_, lowering_) != "none" || progress_fault(copy, 2) != "none")
                << "rank " << rank << " without " << to_text(programs_[rank][i]);
        }
    }
}

TEST_F(Planted, EveryInstructionDoneTwiceIsSeen) {
    for (std::size_t rank = 0; rank < 2; ++rank) {
        for (std::size_t i = 0; i < programs_[rank].size(); ++i) {
            auto copy = programs_;
            copy[rank].insert(copy[rank].begin() + static_cast<std::ptrdiff_t>(i), programs_[rank][i]);
            EXPECT_NE(rule_fault(copy, shape_, lowering_), "none") << "rank " << rank << ": " << to_text(programs_[rank][i]);
        }
    }
}

TEST_F(Planted, WrongOrders) {
    const auto fault = [&](std::size_t rank, const std::string& a, const std::string& b) {
        SetUp();
        swap(rank, a, b);
        return rule_fault(programs_, shape_, lowering_);
    };
    EXPECT_NE(fault(1, "F0", "B0[2,3)").find("before its gradient is there"), std::string::npos);
    EXPECT_NE(fault(1, "R0[2,3)", "B0[2,3)").find("unit 2 is not recomputed yet"), std::string::npos);
    EXPECT_NE(fault(0, "Rb0", "B0").find("before its gradient is there"), std::string::npos) << to_text(programs_);
    EXPECT_NE(fault(0, "+1", "B2[1,2)").find("2 of 3 contributions"), std::string::npos) << to_text(programs_);
    EXPECT_NE(fault(0, "clip", "+0").find("bucket 0 is not reduced yet"), std::string::npos);
    EXPECT_NE(fault(0, "U0", "G0").find("before its update"), std::string::npos);
    EXPECT_NE(fault(0, "clip", "U0").find("before Clip"), std::string::npos);
}

TEST_F(Planted, WeightGradientsBeforeTheirInputs) {
    auto programs = make_programs(Schedule::ZbH1, shape_, lowering_);
    auto& last = programs[1];
    std::swap(last[find(last, "I1[2,3)")], last[find(last, "W0")]);
    EXPECT_NE(rule_fault(programs, shape_, lowering_), "none");
}

TEST_F(Planted, SlotsThatOverlap) {
    auto& program = programs_[0];
    ASSERT_EQ(slot_counts(program), std::vector<int>{2});
    for (auto& i : program) i.slot = 0;
    EXPECT_EQ(rule_fault(programs_, shape_, lowering_),
              fmt::format("rank 0, instruction 2 of {} (F1): slot 0 holds micro-batch 0", program.size()));
    SetUp();
    programs_[0][find(programs_[0], "B1")].slot = 7;
    EXPECT_NE(rule_fault(programs_, shape_, lowering_).find("its activations are in slot 1, not 7"), std::string::npos);
}

TEST(Check, ReduceEachDoesNotGoWithDeferredWeights) {
    const PipelineShape shape{2, 1, 2};
    auto lowering = lowering_for(shape, 2);
    lowering.reduction = ReduceMoment::Each;
    EXPECT_THROW(static_cast<void>(make_programs(Schedule::ZbH1, shape, lowering)), Error);
    lowering.deferred_units = 1;
    EXPECT_THROW(static_cast<void>(make_programs(Schedule::OneFOneB, shape, lowering)), Error);
    lowering.frozen_base = true;
    EXPECT_NO_THROW(static_cast<void>(make_programs(Schedule::ZbH1, shape, lowering)));
}

}  // namespace
