#include "kernels/cuda/attention_library.cuh"

#include "kernels/cuda/attention_samples.cuh"
#include "kernels/cuda/map.cuh"

namespace tandem::cuda {

namespace {

// A thread has one sample; those behind the last are empty.
__global__ void __launch_bounds__(kMapThreads) attention_tables(PackedSamples all, AttentionPlan plan, AttentionTables tables) {
    const int i = static_cast<int>(blockIdx.x) * kMapThreads + static_cast<int>(threadIdx.x);
    if (i > plan.samples) return;
    if (i < all.count) {
        tables.lengths[i] = sample_at(all, i).queries;  // and as many keys: nowhere fewer, and in all as many
    } else if (i < plan.samples) {
        tables.lengths[i] = 0;
    }
    const std::int64_t first = all.q[min(i, all.count)];
    tables.q[i] = first * plan.q_stride;
    tables.k[i] = first * plan.k_stride;
    tables.v[i] = first * plan.v_stride;
    tables.o[i] = first * plan.o_stride;
    tables.lse[i] = first * plan.heads;
}

__global__ void __launch_bounds__(kMapThreads) lse_by_heads(const float* by_tokens, int tokens, int heads, float* by_heads) {
    const std::int64_t step = std::int64_t{gridDim.x} * kMapThreads, all = std::int64_t{tokens} * heads;
    for (std::int64_t i = std::int64_t{blockIdx.x} * kMapThreads + threadIdx.x; i < all; i += step)
        by_heads[i] = by_tokens[i % tokens * heads + i / tokens];
}

}  // namespace

Status launch_attention_tables(const PackedSamples& samples, const AttentionPlan& plan, const AttentionTables& tables,
                               StreamHandle stream) {
    const Grid grid{static_cast<unsigned>(plan.samples / kMapThreads + 1)};
    return launch({"attention tables", grid, kMapThreads}, stream, attention_tables, samples, plan, tables);
}

Status launch_lse_by_heads(const float* by_tokens, int tokens, int heads, float* by_heads, StreamHandle stream) {
    const Grid grid = map_grid(std::int64_t{tokens} * heads);
    return launch({"lse by heads", grid, kMapThreads}, stream, lse_by_heads, by_tokens, tokens, heads, by_heads);
}

}  // namespace tandem::cuda
