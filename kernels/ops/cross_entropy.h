// Cross-entropy over a chunk of logits, and its gradient in the same pass.
//   loss = sum_i (logsumexp_j z_ij - z_{i, label_i});  dz_ij = softmax_j(z_ij) - [j = label_i]
// Sums, not means: the division by the global number of trained tokens happens once, in the optimizer's scale.
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// logits [n, vocabulary] in an accumulation type (fp32, fp64); labels int32 [n], all in [0, vocabulary);
/// loss_sum fp64 [1] += loss; dlogits [n, vocabulary] of the compute type, absent in evaluation, may be logits itself.
/// A label outside the vocabulary throws.
void cross_entropy(Context&, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits);

}  // namespace tandem::ops
