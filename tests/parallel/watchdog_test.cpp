// What the watchdog concludes, on a clock that the test turns: how long a rank may take, what ranks hear of one another, who is to blame.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "parallel/failure_message.h"
#include "parallel/stall.h"

namespace {

using namespace tandem;

Instruction instruction(Op op, int micro_batch = 0, int chunk = 0) { return {.op = op, .chunk = chunk, .micro_batch = micro_batch}; }

Position training(Op op, int chunk = 0) { return {.phase = Phase::Training, .in_instruction = true, .op = op, .chunk = chunk}; }

TEST(Deadlines, TenTimesTheSlowestRunAndAFloor) {
    Deadlines deadlines;
    EXPECT_EQ(deadlines.of(training(Op::Forward)), 600);
    deadlines.completed(training(Op::Forward), 0.5);
    EXPECT_EQ(deadlines.of(training(Op::Forward)), 20);
    deadlines.completed(training(Op::Forward), 7);
    deadlines.completed(training(Op::Forward), 3);
    EXPECT_EQ(deadlines.of(training(Op::Forward)), 70);
    EXPECT_EQ(deadlines.of(training(Op::Forward, 1)), 600) << "another chunk is other work";
    EXPECT_EQ(deadlines.of(training(Op::Backward)), 600);
    EXPECT_EQ(deadlines.of({.phase = Phase::Evaluating, .in_instruction = true, .op = Op::Forward}), 600);
}

TEST(Deadlines, WhatIsGivenHoldsForInstructionsFromTheStart) {
    Deadlines deadlines(3);
    deadlines.completed(training(Op::Forward), 7);
    EXPECT_EQ(deadlines.of(training(Op::Forward)), 3);
    EXPECT_EQ(deadlines.of({.phase = Phase::Training}), 3);
    EXPECT_EQ(deadlines.of({.phase = Phase::Generating}), 3);
    EXPECT_EQ(deadlines.of({.phase = Phase::Measuring, .in_instruction = true}), 3);
    EXPECT_EQ(deadlines.of({.phase = Phase::Measuring}), 600);
    EXPECT_EQ(deadlines.of({.phase = Phase::Loading}), 600);
    EXPECT_EQ(deadlines.of({.phase = Phase::Saving}), 1800);
}

TEST(Position, IsNamedAsPeopleSayIt) {
    Position p = training(Op::BackwardInput);
    p.micro_batch = 5, p.step = 7;
    EXPECT_EQ(to_text(p), "backward input of micro-batch 5 of step 7");
    p.chunk = 1;
    EXPECT_EQ(to_text(p), "backward input of micro-batch 5 in chunk 1 of step 7");
    p = training(Op::Reduce), p.bucket = 3, p.step = 7;
    EXPECT_EQ(to_text(p), "reduce of bucket 3 of step 7");
    p = training(Op::Clip), p.step = 7;
    EXPECT_EQ(to_text(p), "clip of step 7");
    p.in_instruction = false;
    EXPECT_EQ(to_text(p), "step 7, between instructions");
    EXPECT_EQ(to_text({.phase = Phase::Evaluating, .in_instruction = true, .micro_batch = 2, .step = 7}),
              "forward of micro-batch 2 of the evaluation");
    EXPECT_EQ(to_text({.phase = Phase::Loading}), "loading the model");
}

TEST(Whereabouts, TimesWhatIsBetweenInstructionsAsWell) {
    Whereabouts here;
    here.enter(Phase::Training, 100);
    EXPECT_EQ(here.look().deadline, 600);
    here.begin(instruction(Op::Forward), 0, 2, 105);  // what came before has not been seen from its beginning
    EXPECT_EQ(here.look().since, 105);
    here.end(107);
    EXPECT_EQ(here.look().deadline, 600);
    here.begin(instruction(Op::Backward), 1, 2, 110);
    here.end(114);
    EXPECT_EQ(here.look().deadline, 30) << "10 x the 3 seconds between two";
    here.begin(instruction(Op::Backward), 1, 2, 115);
    EXPECT_EQ(here.look().deadline, 40);
    EXPECT_EQ(here.look().position.instruction, 1);
}

TEST(Whereabouts, ProgressRenewsADeadlineButNotThatOfAnInstruction) {
    Whereabouts here;
    here.enter(Phase::Loading, 0);
    here.progress(599);
    EXPECT_EQ(here.look().since, 599);
    here.enter(Phase::Training, 600);
    here.begin(instruction(Op::Forward), 0, 1, 601);
    here.progress(650);
    EXPECT_EQ(here.look().since, 601);
}

TEST(Whereabouts, WhoWaitsAndWhoMayBeWaiting) {
    Whereabouts here;
    here.enter(Phase::Training, 0);
    EXPECT_EQ(here.look().activity, Activity::Working);
    here.devices_meet(true);
    EXPECT_EQ(here.look().activity, Activity::Unclear);
    here.wait(1);
    EXPECT_EQ(here.look().activity, Activity::Waiting);
    here.wait(-1);
    here.enter(Phase::Saving, 1);
    EXPECT_EQ(here.look().activity, Activity::Working);
    here.enter(Phase::Ending, 1);
    EXPECT_EQ(here.look().activity, Activity::Waiting);
}

/// Ranks that hear of one another at once, on one clock.
class Team {
public:
    explicit Team(int ranks) : whereabouts(static_cast<std::size_t>(ranks)), mute(static_cast<std::size_t>(ranks), false) {
        for (int r = 0; r < ranks; ++r) {
            peers.emplace_back(r, ranks, 0);
            whereabouts[static_cast<std::size_t>(r)] = {{.phase = Phase::Training, .step = 7}, Activity::Waiting, 0, 20};
        }
    }
    Whereabout& at(int rank) { return whereabouts[static_cast<std::size_t>(rank)]; }
    void fall_silent(int rank) { mute[static_cast<std::size_t>(rank)] = true; }
    void tell(double now) {
        for (std::size_t r = 0; r < peers.size(); ++r) {
            if (mute[r]) continue;
            peers[r].give(whereabouts[r], now);
            for (std::size_t other = 0; other < peers.size(); ++other) {
                if (!mute[other]) peers[other].hear(r, peers[r].signs().subspan(r, 1), now);
            }
        }
    }
    /// Seconds until a rank finds something, telling each other every quarter of a second; -1: nobody does before `end`.
    double until_found(double from, double end, std::optional<Stall>& found) {
        for (double now = from; now < end; now += 0.25) {
            tell(now);
            for (std::size_t r = 0; r < peers.size(); ++r) {
                if (mute[r]) continue;
                found = find_stall(peers[r], limits, now);
                if (found) return by = static_cast<int>(r), now;
            }
        }
        return -1;
    }
    std::string text(const Stall& stall, double now) {
        std::vector<std::string> hosts;
        for (std::size_t r = 0; r < peers.size(); ++r) hosts.push_back(r < 2 ? "hostA" : "hostB");
        return describe(stall, peers[static_cast<std::size_t>(by)], hosts, now);
    }

    std::vector<Peers> peers;
    std::vector<Whereabout> whereabouts;
    std::vector<bool> mute;
    StallLimits limits{.quiet = 3, .silence = 120};
    int by = -1;
};

using Kind = Stall::Kind;

TEST(Stall, ARankThatWorksTooLongFindsItItselfAndIsNamed) {
    Team team(4);
    team.at(3) = {training(Op::Backward), Activity::Working, 10, 20};
    team.at(3).position.micro_batch = 5;
    team.at(3).position.step = 7;
    std::optional<Stall> found;
    EXPECT_EQ(team.until_found(0, 100, found), 30) << "the others have waited longer, and for good reason";
    EXPECT_EQ(found, (Stall{Kind::Overdue, 3}));
    EXPECT_EQ(team.by, 3);
    EXPECT_EQ(team.text(*found, 71),
              "rank 3 on hostB stalled in backward of micro-batch 5 of step 7 for 61 s; its deadline was 20 s (watchdog.deadline)");
}

TEST(Stall, ARankThatFallsSilentIsNamedByAnother) {
    Team team(4);
    team.at(2) = {training(Op::Forward), Activity::Working, 9, 20};
    for (double now = 0; now <= 10; now += 0.25) team.tell(now);
    team.fall_silent(2);
    std::optional<Stall> found;
    EXPECT_NEAR(team.until_found(10.25, 100, found), 29, 0.3);
    EXPECT_EQ(found, (Stall{Kind::Silent, 2}));
    EXPECT_EQ(team.text(*found, 40),
              "rank 2 on hostB stalled in forward of micro-batch 0 of training, where it was last heard of, for 30 s: its process gives no "
              "more signs of "
              "life; it is stopped or swapped out, or its host is gone");
}

TEST(Stall, ASilentRankThatWasWaitingHasTheWholeDeadline) {
    Team team(2);
    team.at(1) = {training(Op::ReceiveForward), Activity::Waiting, 0, 20};
    team.at(0) = {training(Op::Forward), Activity::Working, 0, 600};
    for (double now = 0; now <= 19; now += 0.25) team.tell(now);
    team.fall_silent(1);
    std::optional<Stall> found;
    EXPECT_NEAR(team.until_found(19.25, 100, found), 39, 0.3);
    EXPECT_EQ(found, (Stall{Kind::Silent, 1}));
}

TEST(Stall, SilenceDuringWorkOfAnyLength) {
    Team team(2);
    team.at(1) = {{.phase = Phase::Loading}, Activity::Working, 0, 600};
    team.at(0) = {{.phase = Phase::Loading}, Activity::Working, 0, 600};
    team.tell(1);
    team.fall_silent(1);
    std::optional<Stall> found;
    EXPECT_NEAR(team.until_found(1.25, 400, found), 121, 0.3);
    EXPECT_EQ(found, (Stall{Kind::Silent, 1}));
}

TEST(Stall, NobodyIsBlamedWhileAnotherWorks) {
    Team team(3);
    team.at(0) = {{.phase = Phase::Saving}, Activity::Working, 0, 1800};
    std::optional<Stall> found;
    EXPECT_EQ(team.until_found(0, 1799, found), -1);
    EXPECT_NEAR(team.until_found(1799, 2000, found), 1800, 0.3);
    EXPECT_EQ(found, (Stall{Kind::Overdue, 0}));
}

TEST(Stall, ProgressIsEnough) {
    Team team(2);
    std::optional<Stall> found;
    for (double now = 0; now < 6000; now += 590) {
        team.at(0) = {{.phase = Phase::Loading}, Activity::Working, now, 600};
        EXPECT_EQ(team.until_found(now, now + 590, found), -1) << now;
    }
}

TEST(Stall, AnInstructionThatIsSlowButFasterThanItsDeadlineIsNotKilled) {
    Team team(2);
    team.at(0) = {training(Op::Forward), Activity::Working, 0, 300};
    std::optional<Stall> found;
    EXPECT_EQ(team.until_found(0, 299, found), -1);
}

TEST(Stall, EverybodyWaits) {
    Team team(3);
    std::optional<Stall> found;
    EXPECT_EQ(team.until_found(0, 100, found), 20);
    EXPECT_EQ(found->kind, Kind::Everybody);
    EXPECT_NE(team.text(*found, 20).find("every rank has waited for another for 20 s, and none works: rank 0 on hostA in step 7, between"),
              std::string::npos);
    // A rank that has just moved may be about to send what is waited for.
    Team moving(3);
    for (double now = 0; now < 60; now += 1) {
        moving.at(2).since = now;
        EXPECT_EQ(moving.until_found(now, now + 1, found), -1) << now;
    }
}

TEST(Stall, WhoIsFarthestBehindWhereHostsWaitForTheirDevices) {
    Team team(3);
    for (int r = 0; r < 3; ++r) {
        team.at(r) = {
            {.phase = Phase::Training, .step = 7, .instruction = r == 1 ? 3 : 8, .count = 10}, Activity::Unclear, r == 1 ? 5.0 : 1.0, 20};
    }
    std::optional<Stall> found;
    EXPECT_EQ(team.until_found(0, 100, found), 21);
    EXPECT_EQ(found, (Stall{Kind::Unclear, 1}));
}

TEST(Stall, ARankThatCannotHearTheOthersSpeaksOfItselfOnly) {
    Team team(2);
    team.fall_silent(1);
    team.limits.others_unknown = true;
    std::optional<Stall> found;
    EXPECT_EQ(team.until_found(0, 100, found), 20);
    EXPECT_EQ(found, (Stall{Kind::Alone, 0}));
}

TEST(Stall, WhoWasStoppedItselfBeginsAnew) {
    Team team(2);
    team.at(0) = {training(Op::Forward), Activity::Working, 0, 20};
    team.tell(1);
    Peers& woken = team.peers[0];
    const double now = 100;  // nothing has been heard for 99 s, because nothing could be
    ASSERT_EQ(find_stall(woken, team.limits, now), (Stall{Kind::Silent, 1}));
    woken.restart(now);
    team.at(0).since = now;
    woken.give(team.at(0), now);
    EXPECT_EQ(find_stall(woken, team.limits, now), std::nullopt);
}

TEST(Peers, NewsTravelOverOthersAndOldNewsDoNotCount) {
    std::vector<Peers> peers{{0, 3, 0}, {1, 3, 0}, {2, 3, 0}};
    peers[0].give({{.phase = Phase::Training}, Activity::Working, 0, 20}, 1);
    const std::vector<Sign> old(peers[0].signs().begin(), peers[0].signs().end());
    peers[0].give({{.phase = Phase::Saving}, Activity::Working, 0, 20}, 2);
    peers[1].hear(0, peers[0].signs(), 2);
    peers[2].hear(0, peers[1].signs(), 3);
    EXPECT_EQ(peers[2].sign(0).position.phase, Phase::Saving);
    EXPECT_EQ(peers[2].silence(0, 5), 2);
    EXPECT_EQ(peers[2].in_it(0, 5), 4);
    peers[2].hear(0, old, 4);
    EXPECT_EQ(peers[2].sign(0).position.phase, Phase::Saving);
    EXPECT_EQ(peers[2].silence(0, 5), 2);
}

TEST(FailureMessage, IsWrittenOnceAndNotAfterAnotherRankHasSpoken) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process that has not yet written one
    const auto claim_after_another = [] {
        leave_message_to_others();
        std::exit(claim_failure_message() ? 1 : 0);
    };
    EXPECT_EXIT(claim_after_another(), testing::ExitedWithCode(0), "");
    EXPECT_TRUE(claim_failure_message());
    EXPECT_FALSE(claim_failure_message());
}

}  // namespace
