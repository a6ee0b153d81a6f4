// Layouts of the ranks of a test, and files that they share.
#pragma once

#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/train/checkpoint.h"
#include "tests/support/ranks.h"
#include "tests/train/placed_state.h"
#include "tests/train/temporary_directory.h"

namespace tandem::test {

inline constexpr std::array kShardings = {Sharding{}, Sharding{.zero = 1}, Sharding{.zero = 2, .moment = ReduceMoment::Each}};

inline CheckpointHeader header(std::int64_t step) {
    return {step, 42, 1, "base-hash", "data-hash", {"some/model", R"({"r":4})", DType::F32}};
}

/// One directory for all ranks, removed at the end.
class SharedDirectory {
public:
    SharedDirectory() {
        if (test_world().rank() == 0) directory_.emplace(), path_ = directory_->path().string();
        test_world().broadcast(path_, 0);
    }
    ~SharedDirectory() { test_world().barrier(); }
    [[nodiscard]] std::filesystem::path path() const { return path_; }

private:
    std::optional<TemporaryDirectory> directory_;
    std::string path_;
};

/// Layouts of at most as many ranks as there are.
inline std::vector<MeshIndex> layouts() {
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
inline void on_ranks(const MeshIndex& sizes, const std::function<void(Communicator&)>& work) {
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

inline std::string text(const MeshIndex& s, const Sharding& z) {
    return fmt::format("{} x {} x {} zero {}", s.data, s.tensor, s.pipeline, z.zero);
}

inline void save(const std::filesystem::path& directory, const MeshIndex& sizes, const Sharding& sharding, std::int64_t step,
                 OptimizerName optimizer = OptimizerName::AdamW) {
    on_ranks(sizes, [&](Communicator& world) {
        PlacedState placed(world, sizes, sharding, optimizer);
        placed.fill();
        CheckpointStore(directory, 1000).save(placed.ctx, world, *placed.state, whole_table(), header(step));
    });
}

}  // namespace tandem::test
