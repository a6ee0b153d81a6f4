#include "kernels/cuda/glu.cuh"

#include "kernels/cuda/map.cuh"

namespace tandem::cuda {

namespace {

constexpr float kLog2E = 1.4426950409F;
constexpr float kGeluInner = 0.7978845608F;  // sqrt(2 / pi)
constexpr float kGeluCubic = 0.044715F;

struct Activated {
    float value, slope;
};

// a(g) = g s(v),  a'(g) = s(v) + g s(v) (1 - s(v)) v',  s = logistic
//   SiLU:     v = g,    v' = 1
//   GeluTanh: v = 2 u,  v' = 2 u',  u = sqrt(2/pi) (g + 0.044715 g^3), because (1 + tanh u) / 2 = s(2 u)
//
// Two instructions of the special function unit an element; the accurate expf and division would make 16-bit types bound by arithmetic.
__device__ Activated activate(Gate activation, float g) {
    float v = g, slope = 1.0F;
    if (activation == Gate::GeluTanh) {
        v = 2.0F * kGeluInner * g * (1.0F + kGeluCubic * g * g);
        slope = 2.0F * kGeluInner * (1.0F + 3.0F * kGeluCubic * g * g);
    }
    const float s = __fdividef(1.0F, 1.0F + exp2_fast(-kLog2E * v));
    return {g * s, s + g * s * (1.0F - s) * slope};
}

struct Glu {
    Gate activation;
    template <int kCount, class T>
    __device__ void at(Place, T* y, const T* gate, const T* up) const {
        transform<kCount>([this](float g, float u) { return activate(activation, g).value * u; }, y, load<kCount>(gate), load<kCount>(up));
    }
};

struct GluBackward {
    Gate activation;
    template <int kCount, class T>
    __device__ void at(Place, T* dgate, T* dup, const T* dy, const T* gate, const T* up) const {
        auto d = load<kCount>(dy), g = load<kCount>(gate), u = load<kCount>(up);
#pragma unroll
        for (int e = 0; e < kCount; ++e) {
            const Activated a = activate(activation, widen(g.at[e]));
            const float gradient = widen(d.at[e]);
            g.at[e] = narrow<T>(gradient * widen(u.at[e]) * a.slope);
            u.at[e] = narrow<T>(gradient * a.value);
        }
        store(dgate, g);
        store(dup, u);
    }
};

}  // namespace

Status launch_glu(Extent extent, Gate activation, const Rows& gate, const Rows& up, const Rows& y, StreamHandle stream) {
    return with_element(y.type, [&]<class T>(Tag<T>) {
        return launch_map("glu", stream, extent, Glu{activation}, matrix<T>(y), matrix<const T>(gate), matrix<const T>(up));
    });
}

Status launch_glu_backward(Extent extent, Gate activation, const GluGradient& x, StreamHandle stream) {
    return with_element(x.dy.type, [&]<class T>(Tag<T>) {
        return launch_map("glu_backward", stream, extent, GluBackward{activation}, matrix<T>(x.dgate), matrix<T>(x.dup),
                          matrix<const T>(x.dy), matrix<const T>(x.gate), matrix<const T>(x.up));
    });
}

}  // namespace tandem::cuda
