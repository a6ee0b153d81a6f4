#include "parallel/mesh.h"

#include <string>

namespace tandem {
namespace {

std::string divisors(int n) {
    std::string text;
    for (int d = 1; d <= n; ++d) {
        if (n % d == 0) text += (text.empty() ? "" : ", ") + std::to_string(d);
    }
    return text;
}

}  // namespace

std::string_view name(Axis axis) {
    switch (axis) {
        case Axis::Data: return "data";
        case Axis::Tensor: return "tensor";
        case Axis::Pipeline: return "pipeline";
    }
    return "";
}

int MeshIndex::operator[](Axis axis) const { return axis == Axis::Data ? data : axis == Axis::Tensor ? tensor : pipeline; }

int& MeshIndex::operator[](Axis axis) { return axis == Axis::Data ? data : axis == Axis::Tensor ? tensor : pipeline; }

MeshIndex mesh_sizes(int ranks, std::optional<int> data, int tensor, int pipeline) {
    for (const auto& [key, value] : {std::pair{"tensor", tensor}, {"pipeline", pipeline}, {"data", data.value_or(1)}}) {
        if (value < 1) fail(Failure::Configuration, "parallel.{} = {}: at least 1 is needed", key, value);
    }
    const auto model = std::int64_t{tensor} * pipeline;
    if (model > ranks || ranks % model != 0) {
        fail(Failure::Configuration,
             "parallel.tensor = {} times parallel.pipeline = {} is {}, which does not divide the {} rank{} of this job: "
             "the product must be one of {}",
             tensor, pipeline, model, ranks, ranks == 1 ? "" : "s", divisors(ranks));
    }
    const int left = static_cast<int>(ranks / model);
    if (data && *data != left) {
        fail(Failure::Configuration,
             "parallel.data = {} with parallel.tensor = {} and parallel.pipeline = {} needs {} ranks, this job has {}: "
             "parallel.data must be {} (or left out)",
             *data, tensor, pipeline, *data * model, ranks, left);
    }
    return {.data = left, .tensor = tensor, .pipeline = pipeline};
}

MeshIndex coordinates(const MeshIndex& sizes, int rank) {
    return {.data = rank / sizes.tensor % sizes.data, .tensor = rank % sizes.tensor, .pipeline = rank / sizes.tensor / sizes.data};
}

int rank_at(const MeshIndex& sizes, const MeshIndex& place) {
    return (place.pipeline * sizes.data + place.data) * sizes.tensor + place.tensor;
}

std::vector<int> group_members(const MeshIndex& sizes, Axis axis, int rank) {
    std::vector<int> ranks;
    auto place = coordinates(sizes, rank);
    for (place[axis] = 0; place[axis] < sizes[axis]; ++place[axis]) ranks.push_back(rank_at(sizes, place));
    return ranks;
}

std::vector<int> end_members(const MeshIndex& sizes, int rank) {
    const auto members = group_members(sizes, Axis::Pipeline, rank);
    if (members.size() > 1 && (rank == members.front() || rank == members.back())) return {members.front(), members.back()};
    return {rank};
}

Mesh::Mesh(Communicator& world, const MeshIndex& sizes) : world_(world), sizes_(sizes), place_(coordinates(sizes, world.rank())) {
    require(std::int64_t{sizes.data} * sizes.tensor * sizes.pipeline == world.size(), "a mesh of {} x {} x {} over {} ranks",
            sizes.pipeline, sizes.data, sizes.tensor, world.size());
    for (const Axis axis : kAxes) {
        // The group's lowest rank is its colour: unique among the groups of one axis.
        const auto members = group_members(sizes, axis, world.rank());
        auto& group = groups_[static_cast<std::size_t>(axis)];
        group = members.size() == 1 ? make_self_communicator() : nullptr;
        if (sizes[axis] > 1) group = world.split(members.front(), place_[axis]);
    }
    pipeline().connect_neighbours();
    const auto ends = end_members(sizes, world.rank());
    if (sizes.pipeline > 1) ends_ = world.split(ends.front(), place_.pipeline);  // every rank takes part, also those in between
    if (ends.size() == 1) ends_ = make_self_communicator();
}

}  // namespace tandem
