// What a library's attention wants in another form than tandem's ops have it.
#pragma once

#include <compare>

#include "kernels/cuda/attention.cuh"

namespace tandem::cuda {

/// What a library prepares once and uses for every call of at most so many samples, each at most so long: causal attention over as
/// many keys as queries, of BF16 or F16.
struct AttentionPlan {
    Element type;
    int samples, length;  ///< bounds; length in tokens
    int heads, kv_heads, head_dim;
    float scale;
    int window;                                           ///< as Attention's; 0: none
    std::int64_t q_stride, k_stride, v_stride, o_stride;  ///< elements from token to token
    friend auto operator<=>(const AttentionPlan&, const AttentionPlan&) = default;
};

/// On the device, for the plan's number of samples, of which the last may be empty.
struct AttentionTables {
    std::int32_t* lengths;              ///< [samples] tokens
    std::int64_t *q, *k, *v, *o, *lse;  ///< [samples + 1] elements of each operand before the sample; the last: of all
};

/// Fills the tables, of as many keys as queries in all. Ends the launch where samples are not what kernels/ops/types.h says.
Status launch_attention_tables(const PackedSamples& samples, const AttentionPlan& plan, const AttentionTables& tables, StreamHandle stream);

/// by_heads [heads, tokens] of by_tokens [tokens, heads].
Status launch_lse_by_heads(const float* by_tokens, int tokens, int heads, float* by_heads, StreamHandle stream);

}  // namespace tandem::cuda
