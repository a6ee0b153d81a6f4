// A linear layer with an optional bias and an optional pair of low-rank factors:
//   u = x A^T;  y = x W^T + b + s u B^T
//   t = dy B;  dA += s t^T x;  dB += s dy^T u;  dx = dy W + s t A;  dW += dy^T x;  db += sum dy
#pragma once

#include <string>

#include "kernels/base/context.h"
#include "kernels/ops/types.h"
#include "parallel/param_table.h"

namespace tandem {

class Linear {
public:
    std::string path;                   ///< "model.layers.0.self_attn.q_proj"
    const Parameter* weight = nullptr;  ///< [out, in]
    const Parameter* bias = nullptr;    ///< [out] or none
    const Parameter* a = nullptr;       ///< [r, in] or none
    const Parameter* b = nullptr;       ///< [out, r] or none
    double scale = 1;                   ///< of the low-rank product
    DropoutMask dropout;                ///< of the low-rank branch's input; probability 0 = none

    [[nodiscard]] std::int64_t in() const { return weight->global[1]; }
    [[nodiscard]] std::int64_t out() const { return weight->global[0]; }
    [[nodiscard]] std::int64_t rank() const { return a ? a->global[0] : 0; }
    [[nodiscard]] bool trains() const { return weight->trainable || a; }

    /// y [n, out] from x [n, in]. u [n, r] is what backward needs of the low-rank branch; absent without factors.
    /// row_ids int64 [n] (dropout only; absent = evaluation, no dropout).
    void forward(Context&, const Tensor& x, const Tensor& row_ids, const Tensor& u, const Tensor& y) const;

    /// Adds to the gradients of the trained parameters and writes dx [n, in] (or adds to it; absent = not needed).
    /// x and u are forward's.
    void backward(Context&, const Tensor& dy, const Tensor& x, const Tensor& row_ids, const Tensor& u, const Tensor& dx, Write write) const;

private:
    void backward_lora(Context&, const Tensor& dy, const Tensor& x, const Tensor& row_ids, const Tensor& u, const Tensor& dx) const;
};

}  // namespace tandem
