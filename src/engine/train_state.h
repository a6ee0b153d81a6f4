// What training has made of a model: the master, first and second moment of every trained parameter, read and written on the host
// as boxes of logical tensors. Checkpoints, adapters and models are made of these, whatever the layout.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "parallel/gradient_buckets.h"
#include "src/engine/optimizer.h"

namespace tandem {

enum class StatePart : std::uint8_t { Master, FirstMoment, SecondMoment };
/// "master", "exp_avg", "exp_avg_sq": the names used in checkpoints (those of torch.optim).
[[nodiscard]] std::string_view name(StatePart part);

/// Elements of a trained parameter whose state this rank has, contiguous there: a box of the logical tensor.
struct OwnedBox {
    std::size_t parameter;  ///< index in the table
    Box box;
    /// Whether this rank writes them into files: of all that own an element (replicas, data-parallel ranks with zero 0), one does.
    bool writer;
    std::size_t bucket;   ///< in whose shard they are
    std::int64_t offset;  ///< where they begin in it
};

class TrainState {
public:
    /// Bytes of the largest box of several rows: what is read, written and verified at a time.
    static constexpr std::int64_t kBoxBytes = std::int64_t{8} << 20;

    TrainState(ParamTable& table, GradientBuckets& buckets, Optimizer& optimizer);

    [[nodiscard]] const Parameter& parameter(const OwnedBox& box) const { return table_[box.parameter]; }
    [[nodiscard]] DType dtype() const { return buckets_.accumulation(); }         ///< accumulation type of the run
    [[nodiscard]] const std::vector<StatePart>& parts() const { return parts_; }  ///< SGD has only masters
    /// Everything this rank owns, in the order of buckets.
    [[nodiscard]] const std::vector<OwnedBox>& owned() const { return owned_; }
    [[nodiscard]] std::size_t bytes(const OwnedBox& box) const {
        return static_cast<std::size_t>(box.box.shape.elements()) * size_of(dtype());
    }

    /// The elements of a box, row-major, in dtype(): bytes(box) of them. Waits for the device.
    void read(Context&, const OwnedBox& box, StatePart part, std::span<std::byte> values) const;
    void write(Context&, const OwnedBox& box, StatePart part, std::span<const std::byte> values);
    /// Compute copies from the masters: after write(). Collective over the data-parallel ranks.
    void publish(Context&);

private:
    [[nodiscard]] Tensor at(const OwnedBox& box, StatePart part) const;
    ParamTable& table_;
    GradientBuckets& buckets_;
    Optimizer& optimizer_;
    std::vector<StatePart> parts_;
    std::vector<OwnedBox> owned_;
};

}  // namespace tandem
