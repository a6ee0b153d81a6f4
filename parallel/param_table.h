// What every parameter is, once: the single source for loading, reductions, norms, optimizer state, checkpoints, export.
// Opaque to what a model is: src/model fills it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/tensor.h"

namespace tandem {

/// This rank's part of a logical tensor: extents `shape` at `offset` of the global tensor.
struct Box {
    Shape offset;
    Shape shape;
};

struct Parameter {
    std::string name;  ///< canonical Hugging Face (or PEFT) name
    Shape global;      ///< logical shape
    Box box;           ///< what this rank holds of it
    Tensor weight;     ///< compute copy, [box.shape], in the model's dtype
    Tensor gradient;   ///< sum over trained tokens, [box.shape], accumulation type; set by GradientBuckets for trained ones
    bool trainable = false;
    bool counts_in_norm = true;  ///< false on ranks that hold a replica which another rank counts
    int bucket = 0;              ///< parameters of one bucket are reduced together: layer order
};

using ParamTable = std::vector<Parameter>;

}  // namespace tandem
