// Synthetic parameter tables in buckets, with gradients that are functions of place and micro-batch.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>

#include "kernels/base/backend.h"
#include "parallel/gradient_buckets.h"

namespace tandem::test {

struct Entry {
    std::string name;
    Shape shape;
    int bucket = 0;
    bool trainable = true;
    DType dtype = DType::F32;
    std::int64_t padding_rows = 0;  ///< of the storage
    bool sum_over_tensor = false, sum_over_ends = false;
};

/// Bucket 1 is nobody's, a frozen parameter lies between trained ones, sizes are odd, one is exactly a block, one storage has rows
/// that are no part of the model.
inline std::vector<Entry> odd_entries() {
    return {{.name = "embedding", .shape = {30, 5}, .bucket = 0, .padding_rows = 33},
            {.name = "frozen", .shape = {100, 7}, .bucket = 1, .trainable = false},
            {.name = "matrix", .shape = {17, 31}, .bucket = 2, .dtype = DType::BF16},
            {.name = "norm", .shape = {256}, .bucket = 2, .sum_over_tensor = true},
            {.name = "scalar", .shape = {1}, .bucket = 2},
            {.name = "head", .shape = {40, 33}, .bucket = 3, .dtype = DType::BF16, .padding_rows = 1}};
}

/// One rank's parameters and their buckets.
struct Buckets {
    std::unique_ptr<Backend> backend = make_ref_backend();
    std::unique_ptr<Stream> stream = backend->make_stream();
    DeviceMemory memory{*backend, std::size_t{1} << 26};
    Context ctx{*backend, *stream, memory[MemoryKind::Workspace]};
    Communicator& data;
    ParamTable table;
    std::unique_ptr<GradientBuckets> buckets;

    Buckets(const std::vector<Entry>& entries, ReductionGroups groups, Sharding sharding) : data(groups.data) {
        // Memory that was used before: what must be zero is zero because somebody made it so.
        for (const auto kind : {MemoryKind::Weights, MemoryKind::Gradients, MemoryKind::Master, MemoryKind::Communication}) {
            constexpr std::int64_t kDirty = std::int64_t{1} << 22;
            const ArenaScope scope(memory[kind]);
            std::memset(memory[kind].allocate("used", DType::U8, Shape{kDirty}).raw(), 0x55, kDirty);
        }
        for (const Entry& e : entries) {
            Parameter p;
            p.name = e.name;
            p.global = e.shape;
            p.box = {e.shape.dims() == 2 ? Shape{0, 0} : Shape{0}, e.shape};
            p.storage = e.shape.dims() == 2 ? Shape{e.shape[0] + e.padding_rows, e.shape[1]} : e.shape;
            p.weight = memory[MemoryKind::Weights].allocate(e.name, e.dtype, p.storage);
            p.trainable = e.trainable;
            p.bucket = e.bucket;
            p.sum_over_tensor = e.sum_over_tensor;
            p.sum_over_ends = e.sum_over_ends;
            for (std::int64_t i = 0; i < p.weight.elements(); ++i) set(p.weight, i, -5);
            table.push_back(p);
        }
        buckets = std::make_unique<GradientBuckets>(table, groups, memory, DType::F32, sharding);
    }

    static void set(const Tensor& x, std::int64_t i, float value) {
        if (x.dtype() == DType::F32) x.data<float>()[i] = value;
        else x.data<BFloat16>()[i] = BFloat16(value);
    }
    static float get(const Tensor& x, std::int64_t i) {
        return x.dtype() == DType::F32 ? x.data<float>()[i] : static_cast<float>(x.data<BFloat16>()[i]);
    }

    /// What backward adds for element `i` of parameter `p`.
    using Value = std::function<float(std::size_t p, std::int64_t i, int micro_batch)>;
    void backward(std::size_t bucket, int micro_batch, const Value& value) {
        for (std::size_t p = 0; p < table.size(); ++p) {
            if (!table[p].trainable || table[p].bucket != static_cast<int>(bucket)) continue;
            for (std::int64_t i = 0; i < table[p].box.shape.elements(); ++i) table[p].gradient.data<float>()[i] += value(p, i, micro_batch);
        }
    }
    void step(int micro_batches, ReduceMoment moment, const Value& value) {
        buckets->zero(ctx);
        for (int m = 0; m < micro_batches; ++m) {
            for (std::size_t b = buckets->size(); b-- > 0;) {
                backward(b, m, value);
                if (moment == ReduceMoment::Each || m + 1 == micro_batches) buckets->notify_ready(ctx, b);
            }
        }
        buckets->add_replicas(ctx);
    }

    /// Elements of every box from their owners, and by how many ranks each is counted. Collective over the data-parallel group.
    struct Whole {
        std::vector<std::vector<double>> values, owners;
    };
    [[nodiscard]] Whole whole(const std::function<const Tensor&(const OwnedShard&)>& tensor) const {
        Whole all;
        for (const Parameter& p : table) {
            const auto n = static_cast<std::size_t>(p.trainable ? p.box.shape.elements() : 0);
            all.values.emplace_back(n, 0.0);
            all.owners.emplace_back(n, 0.0);
        }
        for (std::size_t b = 0; b < buckets->size() && buckets->first_owner(); ++b) {
            const OwnedShard& shard = buckets->owned(b);
            for (const auto& piece : shard.pieces) {
                for (std::int64_t i = 0; i < piece.count; ++i) {
                    const auto at = static_cast<std::size_t>(piece.first + i);
                    all.values[piece.parameter].at(at) += static_cast<double>(get(tensor(shard), piece.offset + i));
                    all.owners[piece.parameter].at(at) += 1;
                }
            }
        }
        for (auto& values : all.values) data.sum(values);
        for (auto& owners : all.owners) data.sum(owners);
        return all;
    }
    [[nodiscard]] Whole gradients() const {
        return whole([](const OwnedShard& shard) -> const Tensor& { return shard.gradient; });
    }
};

}  // namespace tandem::test
