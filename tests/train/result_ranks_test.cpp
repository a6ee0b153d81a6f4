// Adapters and models written by every rank, and errors that all ranks share.
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "src/train/rank_zero.h"
#include "src/train/result.h"
#include "tests/train/shared_layouts.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

TEST(OnEveryRank, TheLowestRankThatFailsSpeaks) {
    const int last = test_world().size() - 1;
    on_every_rank(test_world(), [] {});
    try {
        on_every_rank(test_world(), [&] {
            if (test_world().rank() == last) fail(Failure::Input, "broken");
        });
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Input);
        EXPECT_EQ(std::string(error.what()), last == 0 ? "broken" : fmt::format("rank {}: broken", last));
    }
}

std::string read_all(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// What the ranks of a layout hand over, with the very last element of `broken` (where a tensor is named) made infinite.
void write(const MeshIndex& sizes, const Sharding& sharding, const fs::path& to, const std::string& broken = "") {
    on_ranks(sizes, [&](Communicator& world) {
        PlacedState placed(world, sizes, sharding);
        placed.fill();
        const OwnedBox* last = nullptr;
        for (const OwnedBox& owned : placed.state->masters()) {
            const Parameter& p = placed.state->parameter(owned);
            bool at_end = p.name == broken;
            for (int i = 0; i < p.global.dims(); ++i) at_end = at_end && owned.box.offset[i] + owned.box.shape[i] == p.global[i];
            if (at_end) last = &owned;
        }
        if (last) {
            auto values = placed.read(*last);
            values.back() = std::numeric_limits<float>::infinity();
            placed.write(*last, values);
        }
        write_result(world, trained_tensors(placed.ctx, *placed.state, whole_table()), header(1).recipe, to);
    });
}

TEST(ResultOverRanks, IsThatOfOneRankInAnyLayoutAndThatOfTheCheckpoint) {
    const SharedDirectory directory;
    const auto one = directory.path() / "one", file = fs::path("adapter_model.safetensors");
    write({1, 1, 1}, {}, one);
    int number = 0;
    for (const MeshIndex& sizes : layouts()) {
        for (const Sharding& sharding : kShardings) {
            const auto to = directory.path() / std::to_string(number++);
            write(sizes, sharding, to);
            EXPECT_EQ(read_all(to / file), read_all(one / file)) << text(sizes, sharding);
        }
    }
    save(directory.path(), layouts().back(), kShardings[1], 1);
    if (test_world().rank() == 0) {
        const auto self = make_self_communicator();
        write_result(*self, trained_tensors(directory.path() / "step-1.h5"), header(1).recipe, directory.path() / "exported");
        EXPECT_EQ(read_all(directory.path() / "exported" / file), read_all(one / file));
    }
}

TEST(ResultOverRanks, WhatIsNotFiniteIsRefusedByAllWithItsPlaceInTheModel) {
    const SharedDirectory directory;
    for (const MeshIndex& sizes : layouts()) {
        for (const auto& [tensor, index] : {std::pair("wide", 3 * 720 - 1), {"bias", 699}}) {
            std::string message = "nothing was thrown";
            try {
                write(sizes, kShardings[1], directory.path() / "broken", tensor);
            } catch (const Error& error) {
                EXPECT_EQ(error.failure(), Failure::Diverged);
                message = error.what();
            }
            const auto expected = fmt::format("'{}' has a non-finite element at index {}", tensor, index);
            const bool took_part = test_world().rank() < sizes.data * sizes.tensor * sizes.pipeline;
            EXPECT_EQ(message.find(expected) != std::string::npos, took_part) << message;
            EXPECT_FALSE(fs::exists(directory.path() / "broken"));
        }
    }
}

}  // namespace
}  // namespace tandem::test
