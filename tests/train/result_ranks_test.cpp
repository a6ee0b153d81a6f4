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

TEST(ResultOverRanks, IsThatOfOneRankInAnyLayoutAndThatOfTheCheckpoint) {
    const SharedDirectory directory;
    const auto write = [&](const MeshIndex& sizes, const Sharding& sharding, const fs::path& to, float broken = 0) {
        on_ranks(sizes, [&](Communicator& world) {
            PlacedState placed(world, sizes, sharding);
            placed.fill();
            const OwnedBox& last = placed.state->owned().back();
            if (broken != 0 && world.rank() + 1 == world.size()) {
                auto values = placed.read(last, StatePart::Master);
                values.back() = broken;
                placed.state->write(placed.ctx, last, StatePart::Master, std::as_bytes(std::span(values)));
            }
            write_result(world, trained_tensors(placed.ctx, *placed.state, whole_table()), header(1).recipe, to);
        });
    };
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
    for (const MeshIndex& sizes : layouts()) {
        if (sizes.tensor > 1) continue;  // the last rank writes what it breaks
        const auto to = directory.path() / "broken";
        try {
            write(sizes, kShardings[1], to, std::numeric_limits<float>::infinity());
            EXPECT_GE(test_world().rank(), sizes.data * sizes.pipeline) << "a rank that took part";
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Diverged);
            EXPECT_NE(std::string(error.what()).find("'bias' has a non-finite element at index 699"), std::string::npos) << error.what();
        }
        EXPECT_FALSE(fs::exists(to));
    }
}

}  // namespace
}  // namespace tandem::test
