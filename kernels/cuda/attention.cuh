// Kernels of kernels/ops/attention.h, whose equations and names they use.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// kernels/ops/types.h's Segments: offsets lie on the device and are unknown to the host.
struct PackedSamples {
    const std::int32_t *q, *k;  ///< [count + 1]
    int count, max_length;
    int q_tokens, k_tokens;  ///< of all samples
};

struct AttentionShape {
    PackedSamples samples;
    int heads, kv_heads, head_dim;
    float scale, softcap;  ///< softcap 0: none
    int window;            ///< as wide as the longest sample where there is none
};

struct AttentionInputs {
    Rows q, k, v;
};
struct AttentionGradients {
    Rows dq, dk, dv;
};

/// On tensor cores: 16-bit types, head_dim a multiple of 8 up to 256, scale > 0, and rows that begin at multiples of 16 bytes.
Status launch_attention(const AttentionShape& shape, const AttentionInputs& in, const Rows& o, float* lse, StreamHandle stream);
/// delta is D [heads, q_tokens].
Status launch_attention_query_gradient(const AttentionShape& shape, const Rows& d_o, const AttentionInputs& in, const float* lse,
                                       const float* delta, const Rows& dq, StreamHandle stream);
Status launch_attention_key_gradient(const AttentionShape& shape, const Rows& d_o, const AttentionInputs& in, const float* lse,
                                     const float* delta, const Rows& dk, const Rows& dv, StreamHandle stream);

/// The same for every type, head dimension, scale and stride, in fp32.
Status launch_plain_attention(const AttentionShape& shape, const AttentionInputs& in, const Rows& o, float* lse, StreamHandle stream);
Status launch_plain_attention_backward(const AttentionShape& shape, const Rows& d_o, const AttentionInputs& in, const float* lse,
                                       const float* delta, const AttentionGradients& out, StreamHandle stream);

/// D_i = sum_c do_ic o_ic of every head, in fp32.
Status launch_attention_delta(const AttentionShape& shape, const Rows& d_o, const Rows& o, float* delta, StreamHandle stream);

}  // namespace tandem::cuda
