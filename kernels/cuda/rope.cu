#include "kernels/cuda/rope.cuh"

#include "kernels/cuda/map.cuh"

namespace tandem::cuda {

namespace {

// x'_j = x_j cos - x_{j+half} sin;   x'_{j+half} = x_{j+half} cos + x_j sin
template <int kCount, class T>
__device__ void rotate(T* low, T* high, const float* cos, const float* sin, float sign) {
    auto a = load<kCount>(low), b = load<kCount>(high);
    const auto c = load<kCount>(cos), s = load<kCount>(sin);
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
        const float first = widen(a.at[e]), second = widen(b.at[e]), sine = sign * s.at[e];
        a.at[e] = narrow<T>(first * c.at[e] - second * sine);
        b.at[e] = narrow<T>(second * c.at[e] + first * sine);
    }
    store(low, a);
    store(high, b);
}

/// A thread has kCount pairs of one head. Bytes: the rotated part of x, read and written; the tables come from the caches, because
/// neighbouring heads use the same rows.
template <int kCount, class T>
__global__ void __launch_bounds__(kMapThreads) rope_heads(Rope rope, Matrix<T> x) {
    const std::int64_t per_head = rope.half / kCount, per_token = rope.heads * per_head;
    const std::int64_t step = std::int64_t{gridDim.x} * kMapThreads;
    for (std::int64_t i = std::int64_t{blockIdx.x} * kMapThreads + threadIdx.x; i < rope.tokens * per_token; i += step) {
        const Place in_tokens = place(i, per_token), in_heads = place(in_tokens.column, per_head);
        const std::int64_t position = rope.position[in_tokens.row];
        if (position < 0 || position >= rope.positions) give_up();
        const std::int64_t j = in_heads.column * kCount, angle = position * rope.half + j;
        T* low = x.data + in_tokens.row * x.stride + in_heads.row * rope.head_dim + j;
        rotate<kCount>(low, low + rope.half, rope.cos + angle, rope.sin + angle, rope.sign);
    }
}

template <int kCount, class T>
Status enqueue_rope(const Rope& rope, Matrix<T> x, StreamHandle stream) {
    const Grid grid = map_grid(rope.tokens * rope.heads * (rope.half / kCount));
    return launch({"rope", grid, kMapThreads}, stream, rope_heads<kCount, T>, rope, x);
}

}  // namespace

Status launch_rope(const Rope& rope, const Rows& x, StreamHandle stream) {
    return with_element(x.type, [&]<class T>(Tag<T>) {
        constexpr int kCount = 16 / sizeof(T);
        const Extent tables{rope.positions, rope.half};
        const bool packs =
            rope.half % kCount == 0 && rope.head_dim % kCount == 0 && aligned({rope.tokens, rope.heads * rope.head_dim}, matrix<T>(x)) &&
            aligned(tables, Matrix<const float>{rope.cos, rope.half}) && aligned(tables, Matrix<const float>{rope.sin, rope.half});
        return packs ? enqueue_rope<kCount>(rope, matrix<T>(x), stream) : enqueue_rope<1>(rope, matrix<T>(x), stream);
    });
}

}  // namespace tandem::cuda
