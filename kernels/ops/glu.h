// Gated linear unit (Shazeer, arXiv 2002.05202): y = act(gate) * up.
//   SiLU: a(g) = g s(g), a'(g) = s(g) (1 + g (1 - s(g))), s = logistic.   GeluTanh: the tanh approximation of GELU.
//   dgate = dy up a'(gate);  dup = dy a(gate)
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// gate, up, y [n, f] of one type, row-strided allowed; y may be gate or up. Computed in the accumulation type.
void glu(Context&, Activation activation, const Tensor& gate, const Tensor& up, const Tensor& y);

/// dgate may be gate or dy, and dup may be up (in place): every element is read before it is written.
void glu_backward(Context&, Activation activation, const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate,
                  const Tensor& dup);

}  // namespace tandem::ops
