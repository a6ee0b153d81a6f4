// Cross-entropy over a chunk of logits, and its gradient in the same pass.
//   loss = sum_i (logsumexp_j z_ij - z_{i, label_i});  dz_ij = softmax_j(z_ij) - [j = label_i]
// Sums, not means: the division by the global number of trained tokens happens once, in the optimizer's scale.
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// logits [n, vocabulary] in an accumulation type (fp32, fp64); labels int32 [n], all in [0, vocabulary);
/// loss_sum fp64 [1] += loss; dlogits [n, vocabulary] of the compute type, absent in evaluation, may be logits itself.
/// A label outside the vocabulary throws; on a GPU, whose labels the host does not see, what waits for the op throws, and the process can
/// do no more work there.
void cross_entropy(Context&, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits);

/// A vocabulary split over ranks, each of which holds the logits of its part: every rank forms the statistics of its part, they are
/// gathered, and each rank then knows the loss and its part of the gradient (Shoeybi et al., arXiv 1909.08053, section 3; without
/// sending logits). Labels are local: -1 where the label lies in another rank's part, anything else outside [0, part) throws, on a
/// GPU as above.
///
/// statistics [n, 3] = (m = max_j z_ij, sum_j exp(z_ij - m), z_{i, label_i} or 0). logits [n, part] in an accumulation type,
/// statistics contiguous and of the same type; labels int32 [n].
void cross_entropy_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics);

/// With statistics [ranks, n, 3] of all parts, m = max_k m_k and lse = m + log sum_k s_k exp(m_k - m), k in order:
///   loss_sum += sum_i (lse_i - sum_k t_ik), the loss over the whole vocabulary; dz_ij = exp(z_ij - lse_i) - [j = label_i] of this part.
/// loss_sum fp64 [1] may be absent, as may dlogits [n, part], which is of the compute type and may be logits itself.
void cross_entropy_from_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics, const Tensor& loss_sum,
                                   const Tensor& dlogits);

}  // namespace tandem::ops
