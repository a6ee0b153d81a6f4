#include "parallel/mesh.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/ranks.h"

namespace {

using namespace tandem;

std::string refusal(int ranks, std::optional<int> data, int tensor, int pipeline) {
    try {
        static_cast<void>(mesh_sizes(ranks, data, tensor, pipeline));
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Configuration);
        return error.what();
    }
    return "";
}

TEST(MeshSizes, DataTakesWhatIsLeftOver) {
    EXPECT_EQ(mesh_sizes(24, std::nullopt, 2, 3), (MeshIndex{.data = 4, .tensor = 2, .pipeline = 3}));
    EXPECT_EQ(mesh_sizes(24, 4, 2, 3), (MeshIndex{.data = 4, .tensor = 2, .pipeline = 3}));
    EXPECT_EQ(mesh_sizes(1, std::nullopt, 1, 1), (MeshIndex{.data = 1, .tensor = 1, .pipeline = 1}));
}

TEST(MeshSizes, WhatDoesNotDivideIsRefusedWithWhatWould) {
    EXPECT_NE(refusal(6, std::nullopt, 4, 1).find("one of 1, 2, 3, 6"), std::string::npos);
    EXPECT_NE(refusal(2, std::nullopt, 2, 2).find("one of 1, 2"), std::string::npos);
    EXPECT_NE(refusal(8, 3, 2, 1).find("parallel.data must be 4"), std::string::npos);
    EXPECT_NE(refusal(8, 0, 2, 1).find("parallel.data = 0"), std::string::npos);
    EXPECT_NE(refusal(8, std::nullopt, -1, 1).find("parallel.tensor = -1"), std::string::npos);
    EXPECT_NE(refusal(8, std::nullopt, 1, 0).find("parallel.pipeline = 0"), std::string::npos);
    EXPECT_NE(refusal(2, std::nullopt, 2147483647, 2147483647), "");
}

TEST(MeshIndex, RankAndPlaceAreInverse) {
    for (const MeshIndex sizes : {MeshIndex{1, 1, 1}, MeshIndex{4, 2, 3}, MeshIndex{1, 5, 2}, MeshIndex{3, 1, 7}}) {
        int expected = 0;
        for (int p = 0; p < sizes.pipeline; ++p) {
            for (int d = 0; d < sizes.data; ++d) {
                for (int t = 0; t < sizes.tensor; ++t, ++expected) {
                    const MeshIndex place{.data = d, .tensor = t, .pipeline = p};
                    EXPECT_EQ(rank_at(sizes, place), expected);
                    EXPECT_EQ(coordinates(sizes, expected), place);
                }
            }
        }
    }
}

TEST(MeshIndex, GroupsOfAnAxisPartitionTheRanks) {
    const MeshIndex sizes{.data = 2, .tensor = 3, .pipeline = 2};
    for (const Axis axis : kAxes) {
        std::set<std::vector<int>> groups;
        for (int r = 0; r < 12; ++r) {
            const auto members = group_members(sizes, axis, r);
            EXPECT_EQ(static_cast<int>(members.size()), sizes[axis]);
            EXPECT_TRUE(std::is_sorted(members.begin(), members.end()));
            EXPECT_EQ(members[static_cast<std::size_t>(coordinates(sizes, r)[axis])], r);
            groups.insert(members);
        }
        std::multiset<int> all;
        for (const auto& group : groups) all.insert(group.begin(), group.end());
        EXPECT_EQ(all.size(), 12U) << name(axis);
    }
    EXPECT_EQ(group_members(sizes, Axis::Tensor, 4), (std::vector<int>{3, 4, 5}));
    EXPECT_EQ(group_members(sizes, Axis::Data, 4), (std::vector<int>{1, 4}));
    EXPECT_EQ(group_members(sizes, Axis::Pipeline, 4), (std::vector<int>{4, 10}));
}

TEST(MeshIndex, EndsAreTheFirstAndTheLastStage) {
    const MeshIndex sizes{.data = 2, .tensor = 3, .pipeline = 3};
    EXPECT_EQ(end_members(sizes, 4), (std::vector<int>{4, 16}));
    EXPECT_EQ(end_members(sizes, 16), (std::vector<int>{4, 16}));
    EXPECT_EQ(end_members(sizes, 10), (std::vector<int>{10})) << "a stage in between";
    EXPECT_EQ(end_members({.data = 4, .tensor = 1, .pipeline = 1}, 2), (std::vector<int>{2}));
}

TEST(Mesh, CommunicatorsHaveTheMembersThatTheArithmeticSays) {
    Communicator& world = test_world();
    for (int tensor = 1; tensor <= world.size(); ++tensor) {
        for (int pipeline = 1; tensor * pipeline <= world.size(); ++pipeline) {
            if (world.size() % (tensor * pipeline) != 0) continue;
            const auto sizes = mesh_sizes(world.size(), std::nullopt, tensor, pipeline);
            Mesh mesh(world, sizes);
            for (const Axis axis : kAxes) {
                std::vector<int> members;
                for (const auto& text : mesh.group(axis).gather(std::to_string(world.rank()))) members.push_back(std::stoi(text));
                EXPECT_EQ(members, group_members(sizes, axis, world.rank())) << name(axis) << " of " << tensor << " x " << pipeline;
                EXPECT_EQ(mesh.group(axis).rank(), mesh.place()[axis]);
            }
            std::vector<int> ends;
            for (const auto& text : mesh.ends().gather(std::to_string(world.rank()))) ends.push_back(std::stoi(text));
            EXPECT_EQ(ends, end_members(sizes, world.rank())) << tensor << " x " << pipeline;
        }
    }
}

TEST(Mesh, SizesMustMakeUpTheWorld) {
    EXPECT_THROW(Mesh(test_world(), MeshIndex{.data = test_world().size() + 1, .tensor = 1, .pipeline = 1}), Error);
}

}  // namespace
