// What training has made of a model: masters and moments of every trained parameter (state_parts.h), read and written on the host
// as boxes of logical tensors. Checkpoints, adapters and models are made of these, whatever the layout.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "parallel/gradient_buckets.h"
#include "src/engine/optimizer.h"

namespace tandem {

/// Elements of a part of a trained parameter's state that this rank has, contiguous there: a box of the logical tensor.
struct OwnedBox {
    std::size_t parameter;  ///< index in the table
    StatePart part;
    Box box;
    /// Whether this rank writes them into files: of all that own an element (replicas, data-parallel ranks with zero 0), one does.
    bool writer;
    std::size_t bucket;   ///< in whose shard they are
    std::int64_t offset;  ///< where they begin in its master, or in its moments of this kind
};

class TrainState {
public:
    /// Bytes of the largest box of several rows: what is read, written and verified at a time.
    static constexpr std::int64_t kBoxBytes = std::int64_t{8} << 20;

    TrainState(ParamTable& table, GradientBuckets& buckets, Optimizer& optimizer);

    [[nodiscard]] const Parameter& parameter(const OwnedBox& box) const { return table_[box.parameter]; }
    [[nodiscard]] DType dtype() const { return buckets_.accumulation(); }  ///< accumulation type of the run
    [[nodiscard]] OptimizerName optimizer() const { return optimizer_.name(); }
    /// The state of the whole model of which this rank has a part.
    [[nodiscard]] std::vector<StateTensor> tensors(const ParamTable& model) const { return state_tensors(optimizer(), model, dtype()); }
    /// Everything this rank owns, part by part, in the order of buckets.
    [[nodiscard]] const std::vector<OwnedBox>& owned() const { return owned_; }
    /// The masters of it.
    [[nodiscard]] std::span<const OwnedBox> masters() const { return std::span(owned_).first(masters_); }
    [[nodiscard]] DType dtype(const OwnedBox& box) const { return type_of(box.part, dtype()); }
    [[nodiscard]] std::size_t bytes(const OwnedBox& box) const {
        return static_cast<std::size_t>(box.box.shape.elements()) * size_of(dtype(box));
    }

    /// The elements of a box, row-major, in dtype(box): bytes(box) of them. Waits for the device.
    void read(Context&, const OwnedBox& box, std::span<std::byte> values) const;
    void write(Context&, const OwnedBox& box, std::span<const std::byte> values);
    /// Compute copies from the masters: after write(). Collective over the data-parallel ranks.
    void publish(Context&);

private:
    void list(StatePart part);
    void list_piece(StatePart part, std::size_t bucket, std::size_t piece);
    [[nodiscard]] Tensor master(const OwnedBox& box) const;
    ParamTable& table_;
    GradientBuckets& buckets_;
    Optimizer& optimizer_;
    std::vector<OwnedBox> owned_;
    std::size_t masters_ = 0;  ///< so many come first
};

}  // namespace tandem
