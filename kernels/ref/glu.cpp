#include "kernels/ops/glu.h"

#include <cmath>
#include <numbers>

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

namespace {

struct Value {
    double a, derivative;
};

Value activate(Activation activation, double g) {
    if (activation == Activation::SiLU) {
        const double s = 1.0 / (1.0 + std::exp(-g));
        return {g * s, s * (1.0 + g * (1.0 - s))};
    }
    // gelu(g) ~ g/2 (1 + tanh u), u = sqrt(2/pi) (g + 0.044715 g^3)
    const double k = std::sqrt(2.0 / std::numbers::pi);
    const double t = std::tanh(k * (g + 0.044715 * g * g * g));
    const double du = k * (1.0 + 3.0 * 0.044715 * g * g);
    return {0.5 * g * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * g * (1.0 - t * t) * du};
}

}  // namespace

void RefBackend::glu(Context&, Activation activation, const Tensor& gate, const Tensor& up, const Tensor& y) {
    ref::with_type(gate, [&]<class T>(T) {
        const View<T> g(gate), u(up), out(y);
        for (std::int64_t i = 0; i < g.rows(); ++i)
            for (std::int64_t j = 0; j < g.columns(); ++j) out.set(i, j, activate(activation, g(i, j)).a * u(i, j));
    });
}

void RefBackend::glu_backward(Context&, Activation activation, const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate,
                              const Tensor& dup) {
    ref::with_type(gate, [&]<class T>(T) {
        const View<T> d(dy), g(gate), u(up), dg(dgate), du(dup);
        for (std::int64_t i = 0; i < g.rows(); ++i) {
            for (std::int64_t j = 0; j < g.columns(); ++j) {
                const auto [a, derivative] = activate(activation, g(i, j));
                const double dy_value = d(i, j);  // dgate may be dy: read before either result is written
                dg.set(i, j, dy_value * u(i, j) * derivative);
                du.set(i, j, dy_value * a);
            }
        }
    });
}

}  // namespace tandem
