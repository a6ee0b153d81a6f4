// Ranks as a three-dimensional array: rank = (pipeline * D + data) * T + tensor. Tensor-parallel neighbours, which talk most,
// are neighbours among the ranks.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "parallel/rank_groups.h"

namespace tandem {

enum class Axis : std::uint8_t { Data, Tensor, Pipeline };
inline constexpr std::array<Axis, 3> kAxes = {Axis::Data, Axis::Tensor, Axis::Pipeline};
[[nodiscard]] std::string_view name(Axis axis);  ///< "data", "tensor", "pipeline"

/// One number for each axis: the mesh's sizes, or a rank's place in it.
struct MeshIndex {
    int data = 0;
    int tensor = 0;
    int pipeline = 0;
    [[nodiscard]] int operator[](Axis axis) const;
    [[nodiscard]] int& operator[](Axis axis);
    friend bool operator==(const MeshIndex&, const MeshIndex&) = default;
};

/// Sizes for `ranks` ranks; without `data`, all ranks that tensor and pipeline leave over. Throws Failure::Configuration
/// with the allowed values where the sizes do not make up exactly `ranks`.
[[nodiscard]] MeshIndex mesh_sizes(int ranks, std::optional<int> data, int tensor, int pipeline);

[[nodiscard]] MeshIndex coordinates(const MeshIndex& sizes, int rank);
[[nodiscard]] int rank_at(const MeshIndex& sizes, const MeshIndex& place);
/// The ranks that differ from `rank` along `axis` only, with itself, ascending.
[[nodiscard]] std::vector<int> group_members(const MeshIndex& sizes, Axis axis, int rank);
/// For ranks of the first and the last pipeline stage those two ranks of their place in the other axes, in that order; else `rank`.
[[nodiscard]] std::vector<int> end_members(const MeshIndex& sizes, int rank);

/// Which groups carry tensors in a run, of those that not every run needs.
struct GroupUse {
    bool ends = false;      ///< sums, of an embedding that the first and the last stage both hold
    bool pipeline = false;  ///< broadcasts besides messages: text generation
};

/// This rank's groups. Creating one is collective over `world`, whose size is the product of `sizes`.
class Mesh {
public:
    Mesh(Communicator& world, const MeshIndex& sizes);

    [[nodiscard]] const MeshIndex& sizes() const { return sizes_; }
    [[nodiscard]] const MeshIndex& place() const { return place_; }
    [[nodiscard]] Communicator& world() { return world_; }
    [[nodiscard]] Communicator& group(Axis axis) { return *groups_[static_cast<std::size_t>(axis)]; }
    [[nodiscard]] Communicator& data() { return group(Axis::Data); }
    [[nodiscard]] Communicator& tensor() { return group(Axis::Tensor); }
    [[nodiscard]] Communicator& pipeline() { return group(Axis::Pipeline); }
    /// First and last stage (rank 0 and 1 of it); a group of one elsewhere and where there is one stage.
    [[nodiscard]] Communicator& ends() { return *ends_; }
    [[nodiscard]] RankGroups groups() { return {world_, data(), tensor(), pipeline(), ends()}; }

private:
    Communicator& world_;
    MeshIndex sizes_;
    MeshIndex place_;
    std::array<std::unique_ptr<Communicator>, kAxes.size()> groups_;
    std::unique_ptr<Communicator> ends_;
};

}  // namespace tandem
