// D_i of kernels/ops/attention.h: memory-bound, one read of do and o.
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 256;

/// `lanes` lanes, a power of two, sum one head of one token; heads of a token lie side by side.
template <int kCount, class T>
__global__ void __launch_bounds__(kThreads)
    head_dots(int tokens, unsigned heads, int head_dim, unsigned lanes, Matrix<const T> x, Matrix<const T> y, float* dots) {
    const unsigned lane = threadIdx.x % lanes, item = blockIdx.x * (kThreads / lanes) + threadIdx.x / lanes;
    const std::int64_t token = item / heads, head = item % heads;
    float sum = 0.0F;
    if (token < tokens) {
        for (int c = static_cast<int>(lane) * kCount; c < head_dim; c += static_cast<int>(lanes) * kCount) {
            const auto a = load<kCount>(x.data + token * x.stride + head * head_dim + c);
            const auto b = load<kCount>(y.data + token * y.stride + head * head_dim + c);
#pragma unroll
            for (int e = 0; e < kCount; ++e) sum = fmaf(widen(a.at[e]), widen(b.at[e]), sum);
        }
    }
    for (int distance = static_cast<int>(lanes) / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(kAllLanes, sum, distance);
    if (token < tokens && lane == 0) dots[head * tokens + token] = sum;
}

}  // namespace

Status launch_attention_delta(const AttentionShape& shape, const Rows& d_o, const Rows& o, float* delta, StreamHandle stream) {
    return with_element(o.type, [&]<class T>(Tag<T>) {
        constexpr int kPiece = 16 / sizeof(T);
        const int tokens = shape.samples.q_tokens, d = shape.head_dim;
        const Extent rows{tokens, std::int64_t{shape.heads} * d};
        const bool whole = d % kPiece == 0 && aligned(rows, matrix<const T>(d_o)) && aligned(rows, matrix<const T>(o));
        unsigned lanes = 1;
        while (lanes < kWarp && static_cast<int>(lanes) * (whole ? kPiece : 1) < d) lanes *= 2;
        const unsigned items = kThreads / lanes, heads = static_cast<unsigned>(shape.heads);  // of a block
        const unsigned blocks = (static_cast<unsigned>(tokens) * heads + items - 1) / items;
        return cuda::launch({"attention_delta", {blocks}, kThreads}, stream, whole ? head_dots<kPiece, T> : head_dots<1, T>, tokens, heads,
                            d, lanes, matrix<const T>(d_o), matrix<const T>(o), delta);
    });
}

}  // namespace tandem::cuda
