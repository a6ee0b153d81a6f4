// Checkpoints over ranks: written under one layout, read under any other, every byte once, errors alike on all ranks.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <map>
#include <span>

#include "src/io/hdf5_file.h"
#include "src/train/checkpoint.h"
#include "src/train/checkpoint_file.h"
#include "src/train/rank_zero.h"
#include "tests/train/shared_layouts.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

/// Written with each of `shardings`; `wrote` and `reads`: the optimizers on both sides.
void every_layout_reads_every_other(std::span<const Sharding> shardings, OptimizerName wrote, OptimizerName reads) {
    const SharedDirectory directory;
    const auto all = layouts();
    for (std::size_t i = 0; i < all.size(); ++i) {
        for (const Sharding& sharding : shardings) {
            const auto step = static_cast<std::int64_t>(i) * 3 + sharding.zero;
            save(directory.path(), all[i], sharding, step, wrote);
            for (std::size_t j = 0; j < all.size(); ++j) {
                const Sharding& reading = kShardings[(i + j) % kShardings.size()];
                SCOPED_TRACE(text(all[i], sharding) + " read by " + text(all[j], reading));
                on_ranks(all[j], [&](Communicator& world) {
                    PlacedState placed(world, all[j], reading, reads);
                    const auto file = directory.path() / fmt::format("step-{}.h5", step);
                    const auto h = load_checkpoint(placed.ctx, world, *placed.state, whole_table(), file, "base-hash");
                    EXPECT_EQ(h.step, step);
                    for (const OwnedBox& owned : placed.state->owned())
                        ASSERT_EQ(placed.read(owned), PlacedState::values(*placed.state, owned))
                            << name(owned.part) << " of " << placed.state->parameter(owned).name;
                    for (const Parameter& p : placed.table) {
                        const auto expected = PlacedState::values(p, p.box, StatePart::Master);
                        for (std::int64_t k = 0; k < p.weight.elements(); ++k) {
                            const bool trained = p.trainable && k < p.box.shape.elements();
                            ASSERT_EQ(p.weight.data<float>()[k], trained ? expected[static_cast<std::size_t>(k)] : -5.0F) << p.name << k;
                        }
                    }
                });
            }
        }
    }
}

TEST(CheckpointOverRanks, AnyLayoutReadsWhatAnyOtherWrote) {
    every_layout_reads_every_other(kShardings, OptimizerName::AdamW, OptimizerName::AdamW);
}

/// Codes and absmax as well, and the states of a paged optimizer are those of the other.
TEST(CheckpointOverRanks, AnyLayoutReadsTheEightBitStatesOfAnyOther) {
    every_layout_reads_every_other(std::span(kShardings).last(1), OptimizerName::AdamW8bit, OptimizerName::PagedAdamW8bit);
    every_layout_reads_every_other(std::span(kShardings).first(1), OptimizerName::PagedAdamW8bit, OptimizerName::AdamW8bit);
}

class Written : public testing::TestWithParam<OptimizerName> {};

TEST_P(Written, EveryElementOnceAndTheTensorsAreThoseOfOneRank) {
    const SharedDirectory directory;
    save(directory.path(), {1, 1, 1}, {}, 0, GetParam());
    std::int64_t step = 0;
    for (const MeshIndex& sizes : layouts()) {
        for (const Sharding& sharding : kShardings) {
            SCOPED_TRACE(text(sizes, sharding));
            save(directory.path(), sizes, sharding, ++step, GetParam());
            if (test_world().rank() != 0) continue;
            const CheckpointFile one(directory.path() / "step-0.h5"), file(directory.path() / fmt::format("step-{}.h5", step));
            std::map<std::pair<StatePart, std::size_t>, std::vector<int>> count;
            for (const BoxRecord& record : file.boxes()) {
                const Shape shape = file.place(record.part, file.tensors()[record.tensor]).shape;
                auto& written = count[{record.part, record.tensor}];
                written.resize(static_cast<std::size_t>(shape.elements()));
                const bool matrix = shape.dims() == 2;
                const std::int64_t width = matrix ? record.box.shape[1] : 1, columns = matrix ? shape[1] : 1;
                for (std::int64_t k = 0; k < record.box.shape.elements(); ++k)
                    ++written.at(static_cast<std::size_t>((record.box.offset[0] + k / width) * columns +
                                                          (matrix ? record.box.offset[1] : 0) + k % width));
            }
            // Of 11 trained parameters 4 are large: a master, two moments, or codes and absmax of both.
            EXPECT_EQ(count.size(), GetParam() == OptimizerName::AdamW ? 3 * 11U : 3 * 7U + 5 * 4U);
            for (const auto& [what, written] : count) {
                EXPECT_EQ(std::count(written.begin(), written.end(), 1), static_cast<std::ptrdiff_t>(written.size()));
                const auto whole = [&](const CheckpointFile& f) {
                    const TensorPlace place = f.place(what.first, f.tensors()[what.second]);
                    std::vector<std::byte> bytes(static_cast<std::size_t>(place.shape.elements()) * size_of(place.dtype));
                    f.read(place, whole_box(place.shape), bytes);
                    return bytes;
                };
                EXPECT_EQ(whole(file), whole(one));
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(CheckpointOverRanks, Written, testing::Values(OptimizerName::AdamW, OptimizerName::PagedAdamW8bit),
                         [](const auto& test) { return std::string(name(test.param)); });

void flip(const fs::path& file, std::uint64_t at) {
    std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
    f.seekg(static_cast<std::streamoff>(at));
    const char c = static_cast<char>(f.get());
    f.seekp(static_cast<std::streamoff>(at));
    f.put(static_cast<char>(c ^ 0x10));
}

TEST(CheckpointOverRanks, DamageInAnyBoxAndInTheirListIsSeenByAll) {
    const SharedDirectory directory;
    const auto path = directory.path() / "step-1.h5";
    save(directory.path(), layouts().back(), kShardings[2], 1, OptimizerName::AdamW8bit);
    verify_checkpoint(path, test_world());
    std::vector<std::uint64_t> bytes;
    {
        const CheckpointFile file(path);
        for (const BoxRecord& r : file.boxes()) {
            const TensorPlace place = file.place(r.part, file.tensors()[r.tensor]);
            const std::int64_t last_row = r.box.offset[0] + r.box.shape[0] - 1, columns = place.shape.dims() == 2 ? place.shape[1] : 1;
            const std::int64_t last_column = place.shape.dims() == 2 ? r.box.offset[1] + r.box.shape[1] - 1 : 0;
            const std::size_t size = size_of(place.dtype);
            bytes.push_back(place.offset + static_cast<std::uint64_t>(last_row * columns + last_column) * size + size / 4);
        }
        const auto table = Hdf5File::open(path).dataset("boxes");
        for (std::uint64_t k = 0; k < table.bytes(); k += 37) bytes.push_back(table.offset + k);
    }
    for (const auto at : bytes) {
        on_rank_zero(test_world(), std::function<void()>([&] { flip(path, at); }));
        EXPECT_THROW(verify_checkpoint(path, test_world()), Error) << at;
        on_rank_zero(test_world(), std::function<void()>([&] { flip(path, at); }));
    }
    verify_checkpoint(path, test_world());
}

TEST(CheckpointOverRanks, WhatFailsOnOneRankFailsOnAllAndLeavesNothing) {
    const SharedDirectory directory;
    PlacedState placed(test_world(), {test_world().size(), 1, 1}, kShardings[1]);
    placed.fill();
    CheckpointStore store(directory.path() / "file" / "checkpoints", 2);
    if (test_world().rank() == 0) std::ofstream(directory.path() / "file") << "in the way";
    test_world().barrier();
    EXPECT_THROW(store.save(placed.ctx, test_world(), *placed.state, whole_table(), header(1)), Error);
    // A model that trains more than the ranks hold: found before a file is begun.
    ParamTable larger = whole_table();
    larger.push_back(larger.front());
    larger.back().name = "another";
    EXPECT_THROW(CheckpointStore(directory.path(), 2).save(placed.ctx, test_world(), *placed.state, larger, header(1)), Error);
    EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()), 1);
}

/// Writes beyond `bytes` of a file fail, as on a full disk.
class FullDisk {
public:
    explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        require(getrlimit(RLIMIT_FSIZE, &before_) == 0, "getrlimit");
        const rlimit limit{bytes, before_.rlim_max};
        require(setrlimit(RLIMIT_FSIZE, &limit) == 0, "setrlimit");
    }
    ~FullDisk() {
        (void)setrlimit(RLIMIT_FSIZE, &before_);
        (void)std::signal(SIGXFSZ, handler_);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

private:
    rlimit before_{};
    void (*handler_)(int);
};

TEST(CheckpointOverRanks, ADiskThatIsFullForOneRankIsOneErrorOfAll) {
    const int last = test_world().size() - 1;
    // Rank 0 writes through HDF5, too, which here was begun after MPI (see start_hdf5).
    if (last == 0) GTEST_SKIP() << "one rank";
    const SharedDirectory directory;
    PlacedState placed(test_world(), {test_world().size(), 1, 1}, kShardings[1]);
    placed.fill();
    std::string message = "nothing was thrown";
    try {
        std::optional<FullDisk> full;
        if (test_world().rank() == last) full.emplace(1000);
        CheckpointStore(directory.path(), 2).save(placed.ctx, test_world(), *placed.state, whole_table(), header(1));
    } catch (const Error& error) {
        message = error.what();
        EXPECT_EQ(error.failure(), Failure::Run);
    }
    EXPECT_NE(message.find("step-1.h5"), std::string::npos) << message;
    EXPECT_EQ(message.find(fmt::format("rank {}: ", last)), 0U) << message;
    test_world().barrier();  // rank 0 removes the file as it unwinds
    EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST(CheckpointOverRanks, BoxesThatDoNotMakeUpATensorAreDamage) {
    const SharedDirectory directory;
    if (test_world().rank() != 0) return;
    const auto path = directory.path() / "step-1.h5";
    CheckpointDraft(path, state_tensors(OptimizerName::Sgd, whole_table(), DType::F32), 0, header(1)).commit();
    EXPECT_THROW((void)CheckpointFile(path).boxes(), Error);
}

}  // namespace
}  // namespace tandem::test
