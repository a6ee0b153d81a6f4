#include "parallel/processors.h"

#include <gtest/gtest.h>

namespace {

using namespace tandem;
using Masks = std::vector<std::vector<int>>;

TEST(Processors, RanksThatMayUseTheSameCpusShareThem) {
    const Masks same = {{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}};
    EXPECT_EQ(share_of_cpus(same, 0, std::nullopt), 4);
    const Masks three(3, {0, 1, 2, 3, 4, 5, 6, 7, 8});
    for (std::size_t r = 0; r < 3; ++r) EXPECT_EQ(share_of_cpus(three, r, std::nullopt), 3);
}

TEST(Processors, RanksThatAreBoundApartKeepWhatIsTheirs) {
    const Masks apart = {{0, 1}, {2, 3, 4}};
    EXPECT_EQ(share_of_cpus(apart, 0, std::nullopt), 2);
    EXPECT_EQ(share_of_cpus(apart, 1, std::nullopt), 3);
    const Masks overlapping = {{0, 1, 2, 3}, {2, 3}};
    EXPECT_EQ(share_of_cpus(overlapping, 0, std::nullopt), 3);
    EXPECT_EQ(share_of_cpus(overlapping, 1, std::nullopt), 1);
}

TEST(Processors, AtLeastOneThread) {
    const Masks crowded(5, {0, 1});
    EXPECT_EQ(share_of_cpus(crowded, 4, std::nullopt), 1);
    EXPECT_EQ(share_of_cpus(Masks{{0, 1}}, 0, 0.5), 1);
}

TEST(Processors, AQuotaOfTheControlGroupIsShared) {
    const Masks many(2, std::vector<int>(64, 0));
    Masks wide(2);
    for (int c = 0; c < 64; ++c) wide[0].push_back(c), wide[1].push_back(c);
    EXPECT_EQ(share_of_cpus(wide, 0, 8.0), 4);
    EXPECT_EQ(share_of_cpus(wide, 0, 1000.0), 32);
}

TEST(Processors, CpuListsAreWrittenAndReadBack) {
    for (const std::vector<int>& cpus : Masks{{}, {0}, {5}, {0, 1, 2, 3}, {0, 2, 4}, {0, 1, 7, 9, 10, 11, 200}}) {
        EXPECT_EQ(parse_cpus(format_cpus(cpus)), cpus) << format_cpus(cpus);
    }
    EXPECT_EQ(format_cpus(std::vector<int>{0, 1, 2, 3, 8}), "0-3,8");
}

TEST(Processors, ThisProcessMayRunSomewhere) { EXPECT_FALSE(affinity().empty()); }

}  // namespace
