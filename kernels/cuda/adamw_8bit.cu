#include "kernels/cuda/adamw_8bit.cuh"

#include <algorithm>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kBlock = 256;  ///< elements that share an absmax; a warp has them at once
constexpr int kShare = kBlock / kWarp;
constexpr int kPlaces = 65536;  ///< numbers between -1 and 1 that codes are known for

/// A lane's elements of a block: kShare / kCount packs, 32 packs apart. Beyond the tensor's end there are zeros.
template <class T, int kCount>
struct Share {
    T at[kShare];

    __device__ static int place(int pack) { return (pack * kWarp + static_cast<int>(threadIdx.x) % kWarp) * kCount; }

    __device__ void read(const T* x, int count) {
#pragma unroll
        for (int p = 0; p < kShare / kCount; ++p) {
            Pack<T, kCount> pack{};
            if (place(p) + kCount <= count) pack = load<kCount>(x + place(p));
            else
                for (int e = 0; e < kCount; ++e)
                    if (place(p) + e < count) pack.at[e] = x[place(p) + e];
#pragma unroll
            for (int e = 0; e < kCount; ++e) at[p * kCount + e] = pack.at[e];
        }
    }
    __device__ void write(T* x, int count) const {
#pragma unroll
        for (int p = 0; p < kShare / kCount; ++p) {
            Pack<T, kCount> pack;
#pragma unroll
            for (int e = 0; e < kCount; ++e) pack.at[e] = at[p * kCount + e];
            if (place(p) + kCount <= count) store(x + place(p), pack);
            else
                for (int e = 0; e < kCount; ++e)
                    if (place(p) + e < count) x[place(p) + e] = pack.at[e];
        }
    }
};

/// Number of first places that are not beyond `place`.
__device__ std::uint8_t code_of(const DynamicCode& code, int place) {
    int node = 1;
#pragma unroll
    for (int level = 0; level < 8; ++level) node = 2 * node + (code.tree[node] <= place ? 1 : 0);
    return static_cast<std::uint8_t>(node - 256);
}

/// As quantize_dynamic does it, operation by operation: x / absmax in [-1, 1] to a place, and that to a code.
__device__ std::uint8_t quantize(const DynamicCode& code, float x, float inverse) {
    const float scaled = __fmul_rn(x, inverse);  // NaN for a 0 where absmax is too small to have an inverse
    const float lower = scaled < -1.0F ? -1.0F : scaled;
    const float bounded = lower > 1.0F ? 1.0F : lower;
    const float place = __fadd_rn(__fmul_rn(__fmul_rn(__fadd_rn(bounded, 1.0F), 0.5F), static_cast<float>(kPlaces - 1)), 0.5F);
    return code_of(code, place == place ? static_cast<int>(place) : 0);
}

/// A warp's block of a moment: codes in memory, numbers in fp32 here.
template <int kCount>
struct Moment {
    const DynamicCode& code;
    std::uint8_t* codes;
    float* absmax;
    int count;
    float at[kShare];

    __device__ void read() {
        Share<std::uint8_t, kCount> in;
        in.read(codes, count);
        const float scale = *absmax;
#pragma unroll
        for (int e = 0; e < kShare; ++e) at[e] = __fmul_rn(code.map[in.at[e]], scale);
    }
    /// All lanes of the warp call it.
    __device__ void write() {
        float largest = 0.0F;
#pragma unroll
        for (int p = 0; p < kShare; ++p) {
            const bool inside = Share<float, kCount>::place(p / kCount) + p % kCount < count;
            if (inside) largest = Max{}(fabsf(at[p]), largest);
        }
        largest = reduce_warp(largest, Max{});
        Share<std::uint8_t, kCount> out{};
        if (largest > 0.0F) {  // one branch for all elements, whose searches go on side by side
            const float inverse = __fdiv_rn(1.0F, largest);
#pragma unroll
            for (int e = 0; e < kShare; ++e) out.at[e] = quantize(code, at[e], inverse);
        }
        out.write(codes, count);
        if (threadIdx.x % kWarp == 0) *absmax = largest;
    }
};

// m = fma(g, 1 - b1, b1 m);  v = fma((1 - b2) g, g, b2 v);  p = p (1 - lr wd) - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
// Every operation is rounded by itself, whatever the compiler would fuse: the bits are the definition.
__device__ void update(const AdamWStep& s, float g, float& m, float& v, float& p) {
    m = __fmaf_rn(g, s.rest1, __fmul_rn(m, s.beta1));
    v = __fmaf_rn(__fmul_rn(s.rest2, g), g, __fmul_rn(v, s.beta2));
    const float denominator = __fadd_rn(__fdiv_rn(__fsqrt_rn(v), s.correction2), s.eps);
    p = __fsub_rn(__fmul_rn(p, s.decay), __fdiv_rn(__fmul_rn(s.rate, m), denominator));
}

/// A warp does block after block. Bytes: the gradient once, master and codes twice.
template <int kCount>
__global__ void __launch_bounds__(kThreads)
    adamw_8bit(AdamWStep step, const double* grad_scale, EightBitState state, const __grid_constant__ MomentCodes tables) {
    auto& codes = shared<MomentCodes>();
    for (int i = static_cast<int>(threadIdx.x); i < 256; i += kThreads) {
        codes.m.map[i] = tables.m.map[i];
        codes.m.tree[i] = tables.m.tree[i];
        codes.v.map[i] = tables.v.map[i];
        codes.v.tree[i] = tables.v.tree[i];
    }
    __syncthreads();
    const auto scale = static_cast<float>(*grad_scale);
    const std::int64_t blocks = (state.n + kBlock - 1) / kBlock;
    constexpr int kWarps = kThreads / kWarp;
    for (std::int64_t b = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp; b < blocks; b += std::int64_t{gridDim.x} * kWarps) {
        const std::int64_t first = b * kBlock;
        const int count = state.n - first < kBlock ? static_cast<int>(state.n - first) : kBlock;
        Share<float, kCount> grad, master;
        grad.read(state.grad + first, count);
        master.read(state.master + first, count);
        Moment<kCount> m{codes.m, state.m + first, state.m_absmax + b, count, {}},
            v{codes.v, state.v + first, state.v_absmax + b, count, {}};
        m.read();
        v.read();
#pragma unroll
        for (int e = 0; e < kShare; ++e) update(step, __fmul_rn(grad.at[e], scale), m.at[e], v.at[e], master.at[e]);
        __syncwarp();  // every lane has read the old absmax
        m.write();
        v.write();
        master.write(state.master + first, count);
    }
}

}  // namespace

Status launch_adamw_8bit(const AdamWStep& step, const double* grad_scale, const EightBitState& state, const MomentCodes& codes,
                         StreamHandle stream) {
    const std::int64_t share = std::int64_t{kBlock} * kThreads / kWarp;
    const auto blocks = static_cast<unsigned>(std::min<std::int64_t>((state.n + share - 1) / share, 2048));
    const Launch how{"adamw_8bit", {blocks}, kThreads, sizeof(MomentCodes)};
    const auto all_at = [](std::uintptr_t multiple, auto*... x) { return ((reinterpret_cast<std::uintptr_t>(x) % multiple == 0) && ...); };
    if (all_at(16, state.grad, state.master) && all_at(4, state.m, state.v))
        return cuda::launch(how, stream, adamw_8bit<4>, step, grad_scale, state, codes);
    return cuda::launch(how, stream, adamw_8bit<1>, step, grad_scale, state, codes);
}

}  // namespace tandem::cuda
