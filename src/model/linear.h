// A linear layer with an optional bias and an optional pair of low-rank factors:
//   u = x A^T;  y = x W^T + b + s u B^T
//   t = dy B;  dA += s t^T x;  dB += s dy^T u;  dx = dy W + s t A;  dW += dy^T x;  db += sum dy
// Under tensor parallelism (Shoeybi et al., arXiv 1909.08053) it is column-parallel (W split by its rows, the outputs) or row-parallel (W
// split by its columns, the inputs). Of the factors, the one beside the split is split, too, and the other one is a replica that works on
// this rank's rows of tokens alone: u and t travel in the message that carries the layer's input or output anyway, so that an adapter costs
// no collective of its own.
#pragma once

#include <span>
#include <string>

#include "kernels/base/context.h"
#include "kernels/ops/types.h"
#include "parallel/param_table.h"
#include "src/model/tensor_group.h"

namespace tandem {

class Linear {
public:
    std::string path;                   ///< "model.layers.0.self_attn.q_proj"
    const Parameter* weight = nullptr;  ///< [out, in], or this rank's part of it
    const Parameter* bias = nullptr;    ///< [out] or none
    const Parameter* a = nullptr;       ///< [r, in] or none
    const Parameter* b = nullptr;       ///< [out, r] or none
    double scale = 1;                   ///< of the low-rank product
    DropoutMask dropout;                ///< of the low-rank branch's input; probability 0 = none

    [[nodiscard]] std::int64_t in() const { return weight->box.shape[1]; }   ///< of this rank
    [[nodiscard]] std::int64_t out() const { return weight->box.shape[0]; }  ///< of this rank
    [[nodiscard]] std::int64_t rank() const { return a ? a->global[0] : 0; }
    [[nodiscard]] bool trains() const { return weight->trainable || (bias && bias->trainable) || a; }
};

/// Which gradients a backward call forms. Those of the low-rank factors go with the input's: they need what it computes anyway.
enum class BackwardPart : std::uint8_t { Input, Both };

/// The rows a layer works on: ids for dropout (int64, absent = none) of all tokens; see TensorGroup for which of them are this rank's.
struct LayerRows {
    const TensorGroup& group;
    Tensor ids;
    [[nodiscard]] Tensor own_ids() const { return ids ? group.own_rows(ids) : ids; }
};

/// One of the column-parallel layers that read the same input: u [n, r] (kept for backward; absent without factors), y or dy [n, out].
struct ColumnUse {
    const Linear* layer;
    Tensor u, y;
};
/// y = layer(h) for each; h [own rows, in].
void column_forward(Context&, const LayerRows& rows, const Tensor& h, std::span<const ColumnUse> layers);
/// Adds to the gradients of what is trained; dh [own rows, in] is overwritten (absent = not needed).
void column_backward(Context&, const LayerRows& rows, BackwardPart part, const Tensor& h, std::span<const ColumnUse> layers,
                     const Tensor& dh);
/// Gradients of weights and biases that BackwardPart::Input left out.
void column_backward_weight(Context&, const LayerRows& rows, const Tensor& h, std::span<const ColumnUse> layers);

/// y [own rows, out] of x [n, in]; u [own rows, r] is kept for backward.
void row_forward(Context&, const LayerRows& rows, const Linear& layer, const Tensor& x, const Tensor& u, const Tensor& y);
/// dx [n, in] from dy [own rows, out].
void row_backward(Context&, const LayerRows& rows, BackwardPart part, const Linear& layer, const Tensor& dy, const Tensor& x,
                  const Tensor& u, const Tensor& dx);
void row_backward_weight(Context&, const LayerRows& rows, const Linear& layer, const Tensor& dy, const Tensor& x);

}  // namespace tandem
