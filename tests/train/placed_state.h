// State of a made-up model over (data, tensor, pipeline) ranks: split by rows with rows left over, by columns, replicated, tied over
// the ends of the pipeline. Every element is a function of where it is in the model.
#pragma once

#include <memory>

#include "kernels/base/backend.h"
#include "parallel/mesh.h"
#include "src/engine/train_state.h"

namespace tandem::test {

enum class Part : std::uint8_t { Rows, Columns, Replica };

struct Described {
    std::string name;
    Shape global;
    Part part;
    int unit;
    bool trainable = true;
};

inline constexpr int kUnits = 4;

inline std::vector<Described> described_model() {
    return {{"embed", {11, 6}, Part::Rows, 0},
            {"q", {13, 10}, Part::Rows, 1},
            {"o", {8, 24}, Part::Columns, 1},
            {"norm", {9}, Part::Replica, 2},
            {"base", {4, 4}, Part::Rows, 2, false},
            {"zero", {5, 3}, Part::Rows, 2},
            {"wide", {3, 720}, Part::Columns, 3},
            {"bias", {700}, Part::Replica, 3},
            // Large enough for moments in eight bits, and split between blocks: rows of blocks, rows that are not, a vector.
            {"gate", {12, 512}, Part::Rows, 1},
            {"down", {4, 3072}, Part::Columns, 2},
            {"table", {95, 64}, Part::Rows, 3},
            {"scale", {5000}, Part::Replica, 0}};
}

/// Of the whole model.
inline ParamTable whole_table() {
    ParamTable table;
    for (const Described& d : described_model()) {
        Parameter p;
        p.name = d.name;
        p.global = p.storage = d.global;
        p.box = whole_box(d.global);
        p.trainable = d.trainable;
        p.bucket = d.unit;
        table.push_back(p);
    }
    return table;
}

/// What `place` holds, without tensors.
inline ParamTable table_of(const MeshIndex& sizes, const MeshIndex& place) {
    ParamTable table;
    for (const Described& d : described_model()) {
        const bool home = d.unit * sizes.pipeline / kUnits == place.pipeline;
        const bool tied = d.name == "embed" && sizes.pipeline > 1 && place.pipeline + 1 == sizes.pipeline;
        if (!home && !tied) continue;
        Parameter p;
        p.name = d.name;
        p.global = p.storage = d.global;
        p.box = whole_box(d.global);
        p.trainable = d.trainable;
        p.bucket = d.unit;
        p.sum_over_ends = d.name == "embed" && sizes.pipeline > 1;
        p.counts_in_norm = !tied;
        if (d.part == Part::Replica) p.counts_in_norm = p.counts_in_norm && place.tensor == 0;
        if (d.part == Part::Rows) {
            const std::int64_t each = (d.global[0] + sizes.tensor - 1) / sizes.tensor, first = std::min(each * place.tensor, d.global[0]);
            p.storage = {each, d.global[1]};
            p.box = {{first, 0}, {std::min(each, d.global[0] - first), d.global[1]}};
        }
        if (d.part == Part::Columns) {
            const std::int64_t each = d.global[1] / sizes.tensor;
            p.storage = {d.global[0], each};
            p.box = {{0, each * place.tensor}, p.storage};
        }
        table.push_back(p);
    }
    return table;
}

struct PlacedState {
    static constexpr std::int64_t kPage = 768;  ///< three blocks: tensors begin and end within pages

    Mesh mesh;
    std::unique_ptr<Backend> backend = make_ref_backend();
    std::unique_ptr<Stream> stream = backend->make_stream();
    DeviceMemory memory{*backend, std::size_t{1} << 20};
    Context ctx{*backend, *stream, memory[MemoryKind::Workspace]};
    ParamTable table;
    std::unique_ptr<GradientBuckets> buckets;
    std::unique_ptr<Optimizer> optimizer;
    std::unique_ptr<TrainState> state;

    PlacedState(Communicator& world, const MeshIndex& sizes, const Sharding& sharding, OptimizerName name = OptimizerName::AdamW)
        : mesh(world, sizes), table(table_of(sizes, mesh.place())) {
        for (Parameter& p : table) {
            p.weight = memory[MemoryKind::Weights].allocate(p.name, DType::F32, p.storage);
            std::fill_n(p.weight.data<float>(), p.weight.elements(), -5.0F);
        }
        buckets = std::make_unique<GradientBuckets>(table, ReductionGroups{mesh.data(), mesh.tensor(), mesh.ends()}, memory, DType::F32,
                                                    sharding);
        OptimizerSection settings;
        settings.name = name;
        optimizer = std::make_unique<Optimizer>(settings, *buckets, table, mesh.world(), ctx, memory, kPage);
        state = std::make_unique<TrainState>(table, *buckets, *optimizer);
    }

    /// Different for every element of every tensor and part.
    static float value(const std::string& name, StatePart part, std::int64_t row, std::int64_t column) {
        if (is_codes(part)) return static_cast<float>((name[0] + 5 * static_cast<int>(part) + 31 * row + 3 * column + column / 256) % 256);
        return static_cast<float>(name[0] * 100 + name[1]) + 10000.0F * (1.0F + static_cast<float>(part)) + static_cast<float>(row) / 16 +
               static_cast<float>(column) / 1024;
    }
    /// Codes as numbers.
    static std::vector<float> values(const Parameter& p, const Box& box, StatePart part) {
        std::vector<float> list;
        const bool matrix = box.shape.dims() == 2;
        for (std::int64_t r = 0; r < box.shape[0]; ++r) {
            for (std::int64_t c = 0; c < (matrix ? box.shape[1] : 1); ++c)
                list.push_back(value(p.name, part, box.offset[0] + r, matrix ? box.offset[1] + c : 0));
        }
        return list;
    }
    [[nodiscard]] static std::vector<float> values(const TrainState& state, const OwnedBox& owned) {
        return values(state.parameter(owned), owned.box, owned.part);
    }
    void fill() {
        for (const OwnedBox& owned : state->owned()) write(owned, values(*state, owned));
    }
    void write(const OwnedBox& owned, const std::vector<float>& list) {
        const std::vector<std::uint8_t> codes(list.begin(), is_codes(owned.part) ? list.end() : list.begin());
        state->write(ctx, owned, is_codes(owned.part) ? std::as_bytes(std::span(codes)) : std::as_bytes(std::span(list)));
    }
    [[nodiscard]] std::vector<float> read(const OwnedBox& owned) {
        std::vector<float> list(static_cast<std::size_t>(owned.box.shape.elements()));
        if (!is_codes(owned.part)) {
            state->read(ctx, owned, std::as_writable_bytes(std::span(list)));
            return list;
        }
        std::vector<std::uint8_t> codes(list.size());
        state->read(ctx, owned, std::as_writable_bytes(std::span(codes)));
        return {codes.begin(), codes.end()};
    }
};

}  // namespace tandem::test
