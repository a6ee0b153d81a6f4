// Trained parameters without a model, for optimizer and checkpoint tests.
#pragma once

#include <cstring>
#include <memory>

#include "kernels/base/backend.h"
#include "src/engine/train_state.h"

namespace tandem::test {

struct TinyState {
    std::unique_ptr<Backend> backend = make_ref_backend();
    std::unique_ptr<Stream> stream = backend->make_stream();
    DeviceMemory memory{*backend, std::size_t{1} << 24};
    Context ctx{*backend, *stream, memory[MemoryKind::Workspace]};
    std::unique_ptr<Communicator> self = make_self_communicator();
    ParamTable table;
    std::unique_ptr<GradientBuckets> buckets;
    std::unique_ptr<Optimizer> optimizer;
    std::unique_ptr<TrainState> state;

    explicit TinyState(const OptimizerSection& settings = {}, std::int64_t width = 3, std::int64_t page = EightBitStates::kPage,
                       std::int64_t second = 0) {
        add("layer.weight", {4, width}, 0);
        add("layer.bias", {5}, 0);
        add("norm.weight", {7}, 1);
        if (second > 0) add("layer.second", {second}, 0);
        buckets = std::make_unique<GradientBuckets>(table, ReductionGroups{*self, *self, *self}, memory, DType::F32, Sharding{});
        optimizer = std::make_unique<Optimizer>(settings, *buckets, table, *self, ctx, memory, page);
        state = std::make_unique<TrainState>(table, *buckets, *optimizer);
        for (std::size_t i = 0; i < table.size(); ++i) set(i, StatePart::Master, 1.0F + static_cast<float>(i));
        buckets->zero(ctx);
    }
    void add(const std::string& name, const Shape& shape, int bucket) {
        Parameter p;
        p.name = name;
        p.global = shape;
        p.box = whole_box(shape);
        p.storage = shape;
        p.trainable = true;
        p.bucket = bucket;
        p.weight = memory[MemoryKind::Weights].allocate(name, DType::F32, shape);
        table.push_back(p);
    }
    void set(std::size_t i, StatePart part, float value) {
        for (const OwnedBox& box : state->owned()) {
            const std::vector<float> values(state->bytes(box) / 4, value);
            if (box.parameter == i && box.part == part) state->write(ctx, box, std::as_bytes(std::span(values)));
        }
    }
    [[nodiscard]] std::vector<float> get(std::size_t i, StatePart part) {
        std::vector<float> values;
        for (const OwnedBox& box : state->owned()) {
            if (box.parameter != i || box.part != part) continue;
            std::vector<float> some(state->bytes(box) / 4);
            state->read(ctx, box, std::as_writable_bytes(std::span(some)));
            values.insert(values.end(), some.begin(), some.end());
        }
        return values;
    }
    void set_gradients(float value) {
        for (const Parameter& p : table) std::fill_n(p.gradient.data<float>(), p.gradient.elements(), value);
    }
};

}  // namespace tandem::test
