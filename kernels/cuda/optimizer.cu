#include "kernels/cuda/optimizer.cuh"

#include <algorithm>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 256;

template <class T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

bool aligned(const void* x) { return reinterpret_cast<std::uintptr_t>(x) % 16 == 0; }

struct Scratch {
    double at[kThreads / kWarp];
};

/// Bytes: x once.
template <int kCount, class T>
__global__ void __launch_bounds__(kThreads) squares(std::int64_t n, const T* x, double* parts) {
    const std::int64_t step = std::int64_t{gridDim.x} * kThreads * kCount;
    double sum = 0.0;
    const auto add = [&sum](T value) { sum += static_cast<double>(widen(value)) * static_cast<double>(widen(value)); };
#pragma unroll 4
    for (std::int64_t j = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kCount; j < n; j += step) {
        if (j + kCount <= n) {
            const auto pack = load<kCount>(x + j);
#pragma unroll
            for (int e = 0; e < kCount; ++e) add(pack.at[e]);
        } else {
            for (std::int64_t e = j; e < n; ++e) add(x[e]);
        }
    }
    sum = reduce_block<kThreads>(sum, Sum{}, shared<Scratch>().at);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

/// norm = sqrt(sum) inverse_tokens;  scale = inverse_tokens min(1, max_norm / (norm + 1e-6))
__global__ void __launch_bounds__(kWarp)
    clip_scale(const double* sum, double max_norm, double inverse_tokens, double* norm, double* scale) {
    if (threadIdx.x != 0) return;
    const double length = sqrt(*sum) * inverse_tokens;
    const double clipped = max_norm / (length + 1e-6);
    *norm = length;
    *scale = max_norm > 0.0 && clipped < 1.0 ? inverse_tokens * clipped : inverse_tokens;
}

// m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p = p (1 - lr wd) - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
struct AdamWUpdate {
    AdamWStep s;
    float grad_scale = 0.0F;
    __device__ void begin(double scale) { grad_scale = static_cast<float>(scale); }
    __device__ void operator()(float grad, float& m, float& v, float& p) const {
        const float g = grad_scale * grad;
        m = s.beta1 * m + s.rest1 * g;
        v = s.beta2 * v + s.rest2 * (g * g);
        p = p * s.decay - s.rate * m / (sqrtf(v) / s.correction2 + s.eps);
    }
};

// p = p (1 - lr wd) - lr g
struct SgdUpdate {
    double learning_rate;
    float decay;
    float rate = 0.0F;
    __device__ void begin(double scale) { rate = static_cast<float>(learning_rate * scale); }
    __device__ void operator()(float grad, float& p) const { p = p * decay - rate * grad; }
};

/// f(gradient, state...) for one thread's elements.
template <int kCount, class F, class... S>
__device__ void apply(F f, const float* grad, S*... state) {
    const auto g = load<kCount>(grad);
    const auto update = [&](auto... packs) {
#pragma unroll
        for (int e = 0; e < kCount; ++e) f(g.at[e], packs.at[e]...);
        (store(state, packs), ...);
    };
    update(load<kCount>(state)...);
}

/// Bytes: the gradient once, each state twice. The gradient's scale is read where it was computed, on the device.
template <int kCount, class F, class... S>
__global__ void __launch_bounds__(kThreads) update(std::int64_t n, F f, const double* grad_scale, const float* grad, S*... state) {
    f.begin(*grad_scale);
    const std::int64_t step = std::int64_t{gridDim.x} * kThreads * kCount;
    for (std::int64_t j = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kCount; j < n; j += step) {
        if (j + kCount <= n) {
            apply<kCount>(f, grad + j, state + j...);
        } else {
            for (std::int64_t e = j; e < n; ++e) apply<1>(f, grad + e, state + e...);
        }
    }
}

template <class F, class... S>
Status launch_update(const char* name, std::int64_t n, F f, const double* grad_scale, StreamHandle stream, const float* grad, S*... state) {
    const auto grid = [n](int count) {
        const std::int64_t share = std::int64_t{kThreads} * count;
        return Grid{static_cast<unsigned>(std::min<std::int64_t>((n + share - 1) / share, std::int64_t{1} << 20U))};
    };
    constexpr int kCount = kVector<float>;
    if (aligned(grad) && (aligned(state) && ...))
        return cuda::launch({name, grid(kCount), kThreads}, stream, update<kCount, F, S...>, n, f, grad_scale, grad, state...);
    return cuda::launch({name, grid(1), kThreads}, stream, update<1, F, S...>, n, f, grad_scale, grad, state...);
}

}  // namespace

static_assert(kSquaresShare == kThreads * 32);

Status launch_squares(std::int64_t n, const Rows& x, double* parts, StreamHandle stream) {
    const Launch how{"sum_of_squares", {static_cast<unsigned>(squares_parts(n))}, kThreads, sizeof(Scratch)};
    return with_element(x.type, [&]<class T>(Tag<T>) {
        const auto* data = static_cast<const T*>(x.data);
        if (aligned(data)) return cuda::launch(how, stream, squares<kVector<T>, T>, n, data, parts);
        return cuda::launch(how, stream, squares<1, T>, n, data, parts);
    });
}

Status launch_clip_scale(const double* sum, double max_norm, double inverse_tokens, double* norm, double* scale, StreamHandle stream) {
    return cuda::launch({"clip_scale", {}, kWarp}, stream, clip_scale, sum, max_norm, inverse_tokens, norm, scale);
}

Status launch_adamw(std::int64_t n, const AdamWStep& step, const double* grad_scale, const float* grad, float* m, float* v, float* master,
                    StreamHandle stream) {
    return launch_update("adamw", n, AdamWUpdate{step}, grad_scale, stream, grad, m, v, master);
}

Status launch_sgd(std::int64_t n, double learning_rate, float decay, const double* grad_scale, const float* grad, float* master,
                  StreamHandle stream) {
    return launch_update("sgd", n, SgdUpdate{learning_rate, decay}, grad_scale, stream, grad, master);
}

}  // namespace tandem::cuda
