// Causal grouped-query attention over packed samples with an online softmax (Dao et al., arXiv 2205.14135, 2307.08691):
// no S x S matrix exists, samples do not see each other.
//   s_ij = scale q_i . k_j (soft-capped);  p_ij = softmax_j(s_ij) over visible j;  o_i = sum_j p_ij v_j;  lse_i = log sum_j exp s_ij
//   D_i = sum_c do_ic o_ic;  dv_j = sum_i p_ij do_i;  ds_ij = p_ij (do_i . v_j - D_i) (times 1 - (s/c)^2 with a cap c)
//   dq_i = scale sum_j ds_ij k_j;  dk_j = scale sum_i ds_ij q_i
// Query head h reads key/value head h / (heads / kv_heads). Query i of a sample of nq queries and nk keys sees keys
// j <= i + nk - nq and, with a window w > 0, j > i + nk - nq - w.
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// q, o [nq, heads, d]; k, v [nk, kv_heads, d]; one type, row-strided allowed. lse [heads, nq] in the accumulation type.
/// Flops: 4 d heads per visible pair.
void attention(Context&, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k, const Tensor& v,
               const Tensor& o, const Tensor& lse);

/// Overwrites dq (like q), dk, dv (like k, v). Needs nq = nk per sample. Deterministic: each output element has one writer.
/// Flops: 10 d heads per visible pair.
void attention_backward(Context&, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq, const Tensor& dk, const Tensor& dv);

}  // namespace tandem::ops
