// What every parameter is, once: the single source for loading, reductions, norms, optimizer state, checkpoints, export.
// Opaque to what a model is: src/model fills it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/tensor.h"
#include "kernels/ops/four_bit_matrix.h"

namespace tandem {

/// This rank's part of a logical tensor: extents `shape` at `offset` of the global tensor.
struct Box {
    Shape offset;
    Shape shape;
    friend bool operator==(const Box&, const Box&) = default;
};
/// All of a tensor.
[[nodiscard]] inline Box whole_box(const Shape& global) { return {global.dims() == 2 ? Shape{0, 0} : Shape{0}, global}; }

/// Where a box of a matrix lies among the matrix's blocks.
[[nodiscard]] inline BlockGrid grid_of(const Shape& global, const Box& box, std::int64_t block_size) {
    return {.block_size = block_size,
            .rows = box.shape[0],
            .columns = box.shape[1],
            .first = box.offset[0] * global[1] + box.offset[1],
            .stride = global[1],
            .whole_rows = global[0]};
}

/// One parameter of which this rank holds at least a part. Bucket and storage are the same on all tensor-parallel ranks of a stage,
/// so that flat intervals of a bucket mean the same elements of a replica on each of them.
struct Parameter {
    std::string name;  ///< canonical Hugging Face (or PEFT) name
    Shape global;      ///< logical shape
    Box box;           ///< what this rank holds of it
    /// Shape of the storage: box.shape, or more rows than that where the rows do not divide over the tensor-parallel ranks. Rows
    /// beyond the box are zero, are no part of the model, and stay zero.
    Shape storage;
    Tensor weight;  ///< compute copy, [storage], in the model's dtype; absent where the parameter is quantised
    /// In place of `weight`: this box of a frozen matrix in four-bit blocks. Type and grid are set with the parameter, tensors later.
    std::optional<FourBitMatrix> quantized;
    Tensor gradient;  ///< sum over trained tokens, [storage], accumulation type; set by GradientBuckets for trained ones
    bool trainable = false;
    bool counts_in_norm = true;  ///< false on ranks that hold a replica which another rank counts (and saves)
    /// A replica on every tensor-parallel rank, each of which forms a part of its gradient: norms under sequence parallelism, the
    /// factor of an adapter that is not split. The parts are added up once a step.
    bool sum_over_tensor = false;
    /// On the first and on the last pipeline stage, as embedding and as head: the gradients of both are added up once a step.
    bool sum_over_ends = false;
    int bucket = 0;  ///< parameters of one bucket are reduced together: the unit's number (see program.h); a tied embedding's is 0
};

using ParamTable = std::vector<Parameter>;

}  // namespace tandem
