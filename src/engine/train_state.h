// What training has made of a model: the master, first and second moment of every trained parameter, read and written as
// whole logical tensors on the host. Checkpoints, adapters and models are made of these.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/gradient_buckets.h"
#include "src/engine/optimizer.h"

namespace tandem {

enum class StatePart : std::uint8_t { Master, FirstMoment, SecondMoment };
/// "master", "exp_avg", "exp_avg_sq": the names used in checkpoints (those of torch.optim).
[[nodiscard]] std::string_view name(StatePart part);

class TrainState {
public:
    TrainState(ParamTable& table, GradientBuckets& buckets, Optimizer& optimizer);

    [[nodiscard]] const std::vector<std::size_t>& trained() const { return trained_; }  ///< indices into the table
    [[nodiscard]] const Parameter& parameter(std::size_t index) const { return table_[index]; }
    [[nodiscard]] DType dtype() const { return dtype_; }                          ///< accumulation type of the run
    [[nodiscard]] const std::vector<StatePart>& parts() const { return parts_; }  ///< SGD has only masters

    /// All elements, row-major, in dtype().
    [[nodiscard]] std::vector<std::byte> read(Context&, std::size_t parameter, StatePart part) const;
    void write(Context&, std::size_t parameter, StatePart part, const std::vector<std::byte>& values);
    /// Compute copies from the masters: after write().
    void publish(Context&);

private:
    [[nodiscard]] Tensor piece(std::size_t parameter, StatePart part) const;
    ParamTable& table_;
    GradientBuckets& buckets_;
    Optimizer& optimizer_;
    std::vector<std::size_t> trained_;
    std::vector<StatePart> parts_;
    DType dtype_ = DType::F32;
};

}  // namespace tandem
