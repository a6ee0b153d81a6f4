// Checkpoints and results over ranks: written under one layout, read under any other, every byte once, errors alike on all ranks.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "src/engine/rectangles.h"
#include "src/io/hdf5_file.h"
#include "src/train/checkpoint.h"
#include "src/train/checkpoint_file.h"
#include "src/train/rank_zero.h"
#include "tests/support/ranks.h"
#include "tests/train/placed_state.h"
#include "tests/train/temporary_directory.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

constexpr std::array kShardings = {Sharding{}, Sharding{.zero = 1}, Sharding{.zero = 2, .moment = ReduceMoment::Each}};

CheckpointHeader header(std::int64_t step) { return {step, 42, 1, "base-hash", "data-hash", {"some/model", R"({"r":4})", DType::F32}}; }

/// One directory for all ranks, removed at the end.
class SharedDirectory {
public:
    SharedDirectory() {
        if (test_world().rank() == 0) directory_.emplace(), path_ = directory_->path().string();
        test_world().broadcast(path_, 0);
    }
    ~SharedDirectory() { test_world().barrier(); }
    [[nodiscard]] fs::path path() const { return path_; }

private:
    std::optional<TemporaryDirectory> directory_;
    std::string path_;
};

/// Layouts of at most as many ranks as there are.
std::vector<MeshIndex> layouts() {
    std::vector<MeshIndex> list;
    const int n = test_world().size();
    for (int d = 1; d <= n; ++d) {
        for (int t = 1; d * t <= n; ++t) {
            for (int p = 1; d * t * p <= n; ++p) list.push_back({.data = d, .tensor = t, .pipeline = p});
        }
    }
    return list;
}

/// Runs `work` on the first ranks of the world, as many as `sizes` needs; the others wait.
void on_ranks(const MeshIndex& sizes, const std::function<void(Communicator&)>& work) {
    const bool mine = test_world().rank() < sizes.data * sizes.tensor * sizes.pipeline;
    const auto group = test_world().split(mine ? 0 : 1, test_world().rank());
    std::exception_ptr failure;
    try {
        if (mine) work(*group);
    } catch (...) {
        failure = std::current_exception();
    }
    test_world().barrier();
    if (failure) std::rethrow_exception(failure);
}

std::string text(const MeshIndex& s, const Sharding& z) {
    return fmt::format("{} x {} x {} zero {}", s.data, s.tensor, s.pipeline, z.zero);
}

void save(const fs::path& directory, const MeshIndex& sizes, const Sharding& sharding, std::int64_t step) {
    on_ranks(sizes, [&](Communicator& world) {
        PlacedState placed(world, sizes, sharding);
        placed.fill();
        CheckpointStore(directory, 1000).save(placed.ctx, world, *placed.state, whole_table(), header(step));
    });
}

TEST(Rectangles, FollowTheElementsOfAnyStretch) {
    const Box box{{3, 5}, {4, 6}};
    for (const std::int64_t most : {1, 7, 12, 100}) {
        for (std::int64_t first = 0; first <= 24; ++first) {
            for (std::int64_t count = 0; first + count <= 24; ++count) {
                std::vector<std::pair<std::int64_t, std::int64_t>> found, expected;
                const auto list = rectangles(box, first, count, most);
                for (const Box& b : list) {
                    EXPECT_TRUE(b.shape.elements() <= most || b.shape[0] == 1);
                    for (std::int64_t i = 0; i < b.shape.elements(); ++i)
                        found.emplace_back(b.offset[0] + i / b.shape[1], b.offset[1] + i % b.shape[1]);
                }
                for (std::int64_t i = first; i < first + count; ++i) expected.emplace_back(3 + i / 6, 5 + i % 6);
                ASSERT_EQ(found, expected) << first << " " << count;
                EXPECT_TRUE(most < 100 || list.size() <= 3U);
            }
        }
    }
    const auto vector = rectangles({{10}, {20}}, 3, 9, 4);
    ASSERT_EQ(vector.size(), 3U);
    EXPECT_EQ(vector[2], (Box{{21}, {1}}));
    EXPECT_THROW((void)rectangles(box, 20, 5, 100), Error);
}

TEST(CheckpointOverRanks, AnyLayoutReadsWhatAnyOtherWrote) {
    const SharedDirectory directory;
    const auto all = layouts();
    for (std::size_t i = 0; i < all.size(); ++i) {
        for (const Sharding& sharding : kShardings) {
            const auto step = static_cast<std::int64_t>(i) * 3 + sharding.zero;
            save(directory.path(), all[i], sharding, step);
            for (std::size_t j = 0; j < all.size(); ++j) {
                const Sharding& reading = kShardings[(i + j) % kShardings.size()];
                SCOPED_TRACE(text(all[i], sharding) + " read by " + text(all[j], reading));
                on_ranks(all[j], [&](Communicator& world) {
                    PlacedState placed(world, all[j], reading);
                    const auto file = directory.path() / fmt::format("step-{}.h5", step);
                    const auto h = load_checkpoint(placed.ctx, world, *placed.state, whole_table(), file, "base-hash");
                    EXPECT_EQ(h.step, step);
                    for (const OwnedBox& owned : placed.state->owned()) {
                        for (const StatePart part : placed.state->parts())
                            ASSERT_EQ(placed.read(owned, part), PlacedState::values(placed.state->parameter(owned), owned.box, part));
                    }
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

TEST(CheckpointOverRanks, EveryElementIsWrittenOnceAndTheTensorsAreThoseOfOneRank) {
    const SharedDirectory directory;
    save(directory.path(), {1, 1, 1}, {}, 0);
    std::int64_t step = 0;
    for (const MeshIndex& sizes : layouts()) {
        for (const Sharding& sharding : kShardings) {
            SCOPED_TRACE(text(sizes, sharding));
            save(directory.path(), sizes, sharding, ++step);
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
            EXPECT_EQ(count.size(), 3 * 7U);
            for (const auto& [what, written] : count) {
                EXPECT_EQ(std::count(written.begin(), written.end(), 1), static_cast<std::ptrdiff_t>(written.size()));
                const auto whole = [&](const CheckpointFile& f) {
                    const TensorPlace place = f.place(what.first, f.tensors()[what.second]);
                    std::vector<std::byte> bytes(static_cast<std::size_t>(place.shape.elements()) * sizeof(float));
                    f.read(place, whole_box(place.shape), bytes);
                    return bytes;
                };
                EXPECT_EQ(whole(file), whole(one));
            }
        }
    }
}

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
    save(directory.path(), layouts().back(), kShardings[2], 1);
    verify_checkpoint(path, test_world());
    std::vector<std::uint64_t> bytes;
    {
        const CheckpointFile file(path);
        for (const BoxRecord& r : file.boxes()) {
            const TensorPlace place = file.place(r.part, file.tensors()[r.tensor]);
            const std::int64_t last_row = r.box.offset[0] + r.box.shape[0] - 1, columns = place.shape.dims() == 2 ? place.shape[1] : 1;
            const std::int64_t last_column = place.shape.dims() == 2 ? r.box.offset[1] + r.box.shape[1] - 1 : 0;
            bytes.push_back(place.offset + static_cast<std::uint64_t>(last_row * columns + last_column) * 4 + 1);
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
